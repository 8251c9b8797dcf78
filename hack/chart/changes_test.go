package main

import (
	"slices"
	"testing"
)

func TestReadChanges(t *testing.T) {
	for name, test := range map[string]struct {
		changelog string
		want      []change
		fails     bool
	}{
		"the newest version": {
			changelog: "# Changelog\n\nIntroduction.\n\n## v2.0.0\n\n### Added\n\n- **Trail**: a\n  long `line`.\n- Two.\n\n" +
				"### Security\n\n- [Three](docs/three.md).\n\n## v1.0.0\n\n### Added\n\n- One.\n",
			want: []change{{"added", "Trail: a long line."}, {"added", "Two."}, {"security", "Three."}},
		},
		"nothing is unreleased": {
			changelog: "# Changelog\n\n## Unreleased\n\n## v1.0.0\n\n### Fixed\n\n- One.\n",
			want:      []change{{"fixed", "One."}},
		},
		"a heading that Artifact Hub does not know": {
			changelog: "# Changelog\n\n## v1.0.0\n\n### Improved\n\n- One.\n", fails: true,
		},
		"no entry": {changelog: "# Changelog\n\n## Unreleased\n", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readChanges(test.changelog)
			if (err != nil) != test.fails {
				t.Fatalf("err = %v, want one: %t", err, test.fails)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
