package simulation

import "slices"

// Reduce returns a part of a script that still fails, from which no single action can be left out. It tries the script
// at most as often as told, and returns what it has then.
func Reduce(script []Action, tries int, fails func([]Action) bool) []Action {
	for size := len(script) / 2; size > 0 && tries > 0; {
		removed := false
		for start := 0; start < len(script) && tries > 0; {
			tries--
			rest := slices.Concat(script[:start], script[min(start+size, len(script)):])
			if fails(rest) {
				script, removed = rest, true
			} else {
				start += size
			}
		}
		if size > 1 || !removed {
			size /= 2
		}
	}
	return script
}
