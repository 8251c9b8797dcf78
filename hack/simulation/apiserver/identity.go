package apiserver

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// errOptimisticLock is of an update of an object that has changed.
var errOptimisticLock = errors.New(optimisticLock)

const (
	// nameLetters are what generated names end with: no vowels, so that they are no words.
	nameLetters = "bcdfghjklmnpqrstvwxz2456789"
	// generatedLetters is how many of them.
	generatedLetters = 5
)

// generateName returns a name that begins so. It may be taken.
func (s *Server) generateName(base string) string {
	const longest = validation.DNS1123LabelMaxLength - generatedLetters
	name := []byte(base[:min(len(base), longest)])
	for range generatedLetters {
		name = append(name, nameLetters[s.random.IntN(len(nameLetters))])
	}
	return string(name)
}

// newUID returns a UID: a random UUID.
func (s *Server) newUID() types.UID {
	high, low := s.random.Uint64(), s.random.Uint64()
	high = high&^0xf000 | 0x4000
	low = low&^(0b11<<62) | 0b10<<62
	return types.UID(fmt.Sprintf("%08x-%04x-%04x-%04x-%012x",
		high>>32, high>>16&0xffff, high&0xffff, low>>48, low&0xffffffffffff))
}
