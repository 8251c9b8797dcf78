package command

import (
	"fmt"
	"slices"
	"strings"
)

// nearMiss is how many letters a name may be off to be what was meant.
const nearMiss = 2

// suggestion asks whether the name that is nearest to what was typed was meant; "" when none is near. The prefix goes
// before the name.
func suggestion(typed string, names []string, prefix string) string {
	nearest, best := "", nearMiss+1
	for _, name := range slices.Sorted(slices.Values(names)) {
		d := distance(strings.ToLower(typed), name)
		if typed != "" && strings.HasPrefix(name, typed) {
			d = min(d, nearMiss)
		}
		if d < best {
			nearest, best = name, d
		}
	}
	if nearest == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %s%s?", prefix, nearest)
}

// distance is Levenshtein's: how many letters to insert, delete or replace to get from one word to the other.
func distance(from, to string) int {
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(from) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(to) {
			replaced := diagonal
			if from[i] != to[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
