package manifest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// crds are those of the kinds that are read, and errCRDs why they cannot be.
var crds, errCRDs = readCRDs("trails", "awsidentities")

func readCRDs(names ...string) ([][]byte, error) {
	var read [][]byte
	for _, name := range names {
		crd, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "trail-operator.dev_"+name+".yaml"))
		if err != nil {
			return nil, err
		}
		read = append(read, crd)
	}
	return read, nil
}

// schemaOf returns the schema of all kinds that are read.
func schemaOf(tb testing.TB) *Schema {
	tb.Helper()
	if errCRDs != nil {
		tb.Fatal(errCRDs)
	}
	schema, err := NewSchema(crds...)
	if err != nil {
		tb.Fatal(err)
	}
	return schema
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"nothing":                      {"", nil},
		"blank lines":                  {"\n \n\t\n", nil},
		"comments":                     {"# a\n---\n  # b\n--- # c\n", nil},
		"one":                          {"a: 1\n", []string{"1 a: 1\n"}},
		"without a line break":         {"a: 1", []string{"1 a: 1"}},
		"two":                          {"a: 1\n---\nb: 2\n", []string{"1 a: 1\n", "2 ---\nb: 2\n"}},
		"a marker at the end":          {"a: 1\n---", []string{"1 a: 1\n"}},
		"empty ones between":           {"---\n---\n\n---\na: 1\n---\n", []string{"4 ---\na: 1\n"}},
		"content after the marker":     {"--- {a: 1}\n--- {b: 2}", []string{"1 --- {a: 1}\n", "2 --- {b: 2}"}},
		"no marker":                    {"----\n", []string{"1 ----\n"}},
		"a marker that is indented":    {"a: |\n  ---\n  b\n", []string{"1 a: |\n  ---\n  b\n"}},
		"an end":                       {"a: 1\n...\nb: 2\n", []string{"1 a: 1\n", "3 b: 2\n"}},
		"directives":                   {"%YAML 1.1\n---\na: 1\n", []string{"2 ---\na: 1\n"}},
		"line breaks of Windows":       {"a: 1\r\n---\r\nb: 2\r\n", []string{"1 a: 1\r\n", "2 ---\r\nb: 2\r\n"}},
		"a byte order mark":            {"\ufeffa: 1\n", []string{"1 a: 1\n"}},
		"JSON":                         {"{\"a\": 1}\n", []string{"1 {\"a\": 1}"}},
		"JSON after each other":        {"\n{}\n\n{\n}{}", []string{"2 {}", "4 {\n}", "5 {}"}},
		"JSON and something else":      {"{} a", []string{"1 {} a"}},
		"JSON that is cut off":         {"{}\n{", []string{"1 {}\n{"}},
		"YAML that looks like JSON":    {"{a: 1}", []string{"1 {a: 1}"}},
		"JSON with a marker in a text": {"{\"a\": \"---\"}", []string{"1 {\"a\": \"---\"}"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			documents, err := split([]byte(c.content))
			NewWithT(t).Expect(err).NotTo(HaveOccurred())
			var got []string
			for _, d := range documents {
				got = append(got, fmt.Sprintf("%d %s", d.line, d.text))
			}
			NewWithT(t).Expect(got).To(Equal(c.want))
		})
	}
}

// TestRead holds what is found in a file: Trails with the line that they begin in, and problems.
func TestRead(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: trail-operator.dev/v1alpha1\nkind: Trail\nmetadata: {name: audit}\n"
	const identityHead = "apiVersion: trail-operator.dev/v1alpha1\nkind: AWSIdentity\nmetadata: {name: a}\n"
	const spec = "spec: {s3BucketName: example-audit-logs}\n"
	const jsonHead = `{"apiVersion":"trail-operator.dev/v1alpha1","kind":"Trail","metadata":{"name":"audit"`
	const theVersion = " in this version of the operator"
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"a Trail":        {head + spec, []string{"1 audit"}},
		"two":            {head + spec + "---\n" + head + spec, []string{"1 audit", "6 audit"}},
		"in a namespace": {strings.Replace(head, "name:", "namespace: a, name:", 1) + spec, []string{"1 a/audit"}},
		"JSON":           {jsonHead + `},"spec":{"s3BucketName":"example-audit-logs"}}`, []string{"1 audit"}},
		"JSON with surrogates": {
			jsonHead + `,"annotations":{"a":"\ud83d\ude00"}},"spec":{"s3BucketName":"example-audit-logs"}}`,
			[]string{"1 audit"},
		},
		"JSON, indented by tabs": {
			jsonHead + "},\n\t\"spec\": {\n\t\t\"s3BucketName\": \"aaa\",\n\t\t\"a\": 1\n\t}\n}\n",
			[]string{`problem 4:3 audit: unknown field "spec.a"`},
		},
		"as a cluster has it": {
			head + "spec: {s3BucketName: example-audit-logs, interval: 5m}\nstatus: {observedGeneration: 1, conditions: []}\n",
			[]string{"1 audit"},
		},
		"nulls": {
			head + "spec: {s3BucketName: example-audit-logs, kmsKeyID: null, tags: }\nstatus:\n",
			[]string{"1 audit"},
		},
		"merged":    {"base: &base {s3BucketName: example-audit-logs}\n---\n" + head + spec, []string{"3 audit"}},
		"merged in": {head + "spec:\n  <<: {s3BucketName: example-audit-logs}\n", []string{"1 audit"}},
		"of merged parts": {
			"<<: [{kind: Trail}, {kind: Other}]\napiVersion: trail-operator.dev/v1alpha1\nmetadata: {name: audit}\n" + spec,
			[]string{"1 audit"},
		},
		"overriding what is merged in": {
			"x-base: &base {s3BucketName: aaa}\n" + head + "spec:\n  <<: *base\n  s3BucketName: bbb\n",
			[]string{`problem 1:1 audit: unknown field "x-base"`},
		},
		"overriding within": {
			head + "spec:\n  <<: {s3BucketName: aaa}\n  s3BucketName: bbb\n", []string{"1 audit"},
		},
		"a merge of itself": {
			"<<: &a {<<: *a}\nb: c\n",
			[]string{"problem 1 is not YAML: anchor 'a' value contains itself"},
		},
		"booleans of YAML 1.1": {
			head + "spec: {s3BucketName: example-audit-logs, isMultiRegionTrail: on}\n",
			[]string{"1 audit"},
		},
		"an empty list": {"apiVersion: v1\nkind: List\nitems: []\n", nil},
		"an identity":   {identityHead + "spec: {externalID: example-cluster}\n", []string{"identity a"}},
		"an identity with an unknown field": {
			identityHead + "spec: {roleArn: a}\n",
			[]string{`problem 4:8 a: unknown field "spec.roleArn"`},
		},
		"a list of nothing":              {"apiVersion: v1\nkind: List\n", nil},
		"an empty list of Trails":        {"apiVersion: trail-operator.dev/v1alpha1\nkind: TrailList\nitems: []\n", nil},
		"a list of Trails without items": {"apiVersion: trail-operator.dev/v1alpha1\nkind: TrailList\n", nil},
		"a list of Trails of texts": {"apiVersion: trail-operator.dev/v1alpha1\nkind: TrailList\nitems: [a]\n",
			[]string{"problem 3:9 without a name: it must be an object, not a string"}},
		"a list of Trails in no list": {"apiVersion: trail-operator.dev/v1alpha1\nkind: TrailList\nitems: {a: b}\n",
			nil},
		"of the next version": {
			"apiVersion: trail-operator.dev/v2\nkind: Trail\n",
			[]string{"problem 1:1 there is no Trail of trail-operator.dev/v2 in this version of the operator"},
		},
		"lists of the next version": {"apiVersion: trail-operator.dev/v2\nkind: TrailList\nitems: [{}]\n",
			[]string{"problem 3:9 there is no Trail of trail-operator.dev/v2 in this version of the operator"}},
		"without a kind": {
			"apiVersion: trail-operator.dev/v1alpha1\n",
			[]string{"problem 1:1 there is no object without kind of " + v1alpha1.GroupVersion.String() + theVersion},
		},
		"a small letter": {
			"apiVersion: trail-operator.dev/v1alpha1\nkind: trail\n",
			[]string{"problem 1:1 there is no trail of trail-operator.dev/v1alpha1 in this version of the operator"},
		},
		"a wrong case of a field": {
			head + "spec: {s3bucketName: a}\n",
			[]string{`problem 4:8 audit: unknown field "spec.s3bucketName"`},
		},
		"no spec": {head, []string{"problem 1:1 audit: spec is required"}},
		"a spec that is a text": {
			head + "spec: a\n",
			[]string{"problem 4:1 audit: spec must be an object, not a string"},
		},
		"a template": {"{{ if .a }}\na: b\n{{ end }}\n", []string{"problem 1 " + templateMessage}},
		"a template as a text": {
			head + "spec: {s3BucketName: '{{ .bucket }}'}\n",
			[]string{"problem 1:1 " + templateMessage},
		},
		"braces in a comment":     {head + spec + "# {{ nothing }}\n", []string{"1 audit"}},
		"other kinds with braces": {"apiVersion: v1\nkind: ConfigMap\ndata: {a: '{{ b }}'}\n", nil},
		"no YAML": {
			"a: b\nc: d: e\n",
			[]string{"problem 2 is not YAML: mapping values are not allowed in this context"},
		},
		"no YAML, later": {
			"a: b\n---\n\nc: [\n",
			[]string{"problem 4 is not YAML: did not find expected node content"},
		},
		"two in one": {
			"a: 1\n--- \nb: [1\n",
			[]string{"problem 2 is not YAML: did not find expected ',' or ']'"},
		},
		"a key twice": {
			head + "spec:\n  s3BucketName: a\n  s3BucketName: b\n",
			[]string{`problem 6:3 audit: has the field "s3BucketName" twice`},
		},
		"a key twice in JSON": {
			jsonHead + `},"spec":{"s3BucketName":"abc","s3BucketName":"abd"}}`,
			[]string{`problem 1:117 audit: has the field "s3BucketName" twice`},
		},
		"no UTF-8":           {"a: \xff\n", []string{"problem 1 is not YAML: invalid leading UTF-8 octet"}},
		"binary":             {"\x00\x01\x02", []string{"problem 1 is not YAML: control characters are not allowed"}},
		"a scalar":           {"just text\n", nil},
		"a list of anything": {"- a\n- b\n", nil},
		"a number as kind":   {"kind: 1\napiVersion: [a]\n", nil},
		"a kind with items": {
			"apiVersion: a/v1\nkind: Anything\nitems:\n  - apiVersion: trail-operator.dev/v1alpha1\n    kind: Trail\n" +
				"    metadata: {name: audit}\n    spec: {s3BucketName: aaa}\n", []string{"4 audit"},
		},
		"two kinds, of which kubectl takes the last": {
			"kind: Other\n" + head + spec, []string{`problem 3:1 audit: has the field "kind" twice`},
		},
		"a kind that is merged in over another, as for kubectl": {
			"kind: Other\napiVersion: trail-operator.dev/v1alpha1\nmetadata: {name: audit}\n" + spec + "<<: {kind: Trail}\n",
			[]string{"1 audit"},
		},
		"lists deep in lists": {
			strings.Repeat("{items: [", 12) + strings.Repeat("]}", 12), []string{"problem 1:92 has lists in lists, too deep"},
		},
		"a list in itself": {
			"&a\napiVersion: v1\nkind: List\nitems: [*a]\n",
			[]string{"problem 1 is not YAML: anchor 'a' value contains itself"},
		},
		"lists without end": {bomb(), []string{"problem 1 is not YAML: document contains excessive aliasing"}},
		"aliases without end": {
			head + "spec: {s3BucketName: example-audit-logs}\nx: " + laughs(),
			[]string{"problem 1 is not YAML: document contains excessive aliasing"},
		},
		"deeper than anybody": {
			strings.Repeat("[", 20_000),
			[]string{"problem 1 is not YAML: exceeded max depth of 10000"},
		},
		"a large document": {
			"a: " + strings.Repeat("a", maxDocument),
			[]string{"problem 1 the document is larger than 8 MiB: split it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := schemaOf(t).Read([]byte(c.content))
			var got []string
			for _, m := range found.Trails {
				got = append(got, fmt.Sprintf("%d %s", m.Place.Position("").Line, nameOf(m.Place.node)))
			}
			for _, identity := range found.Identities {
				got = append(got, "identity "+identity.Name)
			}
			for _, p := range found.Problems {
				object := ""
				if p.Object != "" {
					object = p.Object + ": "
				}
				got = append(got, "problem "+strings.TrimPrefix(p.Position.In(""), ":")+" "+object+p.Message)
			}
			NewWithT(t).Expect(got).To(Equal(c.want))
		})
	}
}

// bomb returns lists that are in lists, ten times in each.
func bomb() string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: List\nx:\n  - &l0 {kind: A, apiVersion: b}\n")
	for i := range 9 {
		items := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ", i), 10), ", ")
		fmt.Fprintf(&b, "  - &l%d {apiVersion: v1, kind: List, items: [%s]}\n", i+1, items)
	}
	b.WriteString("items: [*l9]\n")
	return b.String()
}

// laughs returns a billion of texts.
func laughs() string {
	var b strings.Builder
	b.WriteString("\n  - &l0 [a]\n")
	for i := range 9 {
		items := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ", i), 10), ", ")
		fmt.Fprintf(&b, "  - &l%d [%s]\n", i+1, items)
	}
	return b.String()
}

// TestPosition holds where fields are, and what is said of those that are not there.
func TestPosition(t *testing.T) {
	t.Parallel()
	d := document{
		11,
		[]byte("kind: Trail\nspec:\n  \"quoted\": 1\n  größe: 1\n  after: {a: 1, b: [x, {c: 2}]}\n  <<: *base\n" +
			"other: &base\n  merged: 1\n"),
	}
	d.text = bytes.Replace(d.text, []byte("  <<: *base\n"), nil, 1)
	d.text = append(d.text, "last:\n  <<: *base\n  own: 1\nalias: *base\nempty: {}\n"...)
	tree, err := d.parse()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())

	at := Place{tree, d.line - 1}
	for path, want := range map[string]Position{
		"":                  {11, 1, 5},
		"kind":              {11, 1, 5},
		"kind.deeper":       {11, 1, 5},
		"spec":              {12, 1, 5},
		"spec.missing":      {12, 1, 5},
		"spec.missing.more": {12, 1, 5},
		"spec.quoted":       {13, 3, 11},
		"spec.größe":        {14, 3, 8},
		"spec.after":        {15, 3, 8},
		"spec.after.a":      {15, 11, 12},
		"spec.after.b[0]":   {15, 21, 22},
		"spec.after.b[1]":   {15, 25, 26},
		"spec.after.b[1].c": {15, 25, 26},
		"spec.after.b[2]":   {15, 17, 18},
		"spec.after.b[-1]":  {15, 17, 18},
		"last.merged":       {17, 3, 9},
		"last.own":          {20, 3, 6},
		"alias.merged":      {17, 3, 9},
		"empty.a":           {22, 1, 6},
		"missing":           {11, 1, 5},
		"..[]":              {11, 1, 5},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(at.Position(path)).To(Equal(want))
		})
	}
}

// FuzzRead reads anything. It must neither panic nor hang, and each Trail is at a line of the file.
func FuzzRead(f *testing.F) {
	for _, pattern := range []string{
		"../check/testdata/manifests/*", "../check/testdata/problems/*", "../../config/samples/*.yaml",
	} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			if content, err := os.ReadFile(name); err == nil {
				f.Add(content)
			}
		}
	}
	f.Add([]byte(bomb()))
	f.Add([]byte("&a\napiVersion: v1\nkind: List\nitems: [*a]\n"))
	schema := schemaOf(f)

	f.Fuzz(func(t *testing.T, content []byte) {
		g := NewWithT(t)
		lines := bytes.Count(content, []byte("\n")) + bytes.Count(content, []byte("\r")) +
			strings.Count(string(content), "\u0085") + strings.Count(string(content), "\u2028") +
			strings.Count(string(content), "\u2029") + 1
		found := schema.Read(content)
		for _, m := range found.Trails {
			g.Expect(m.Kind).To(BeElementOf(trailKind, ""))
			g.Expect(m.Place.Position("spec").Line).To(And(BeNumerically(">", 0), BeNumerically("<=", lines)))
		}
		for _, p := range found.Problems {
			g.Expect(p.Message).NotTo(BeEmpty())
			g.Expect(p.Position.Line).To(And(BeNumerically(">", 0), BeNumerically("<=", lines+1)))
		}
	})
}

// TestKinds holds that all kinds of the operator are known.
func TestKinds(t *testing.T) {
	t.Parallel()
	schema := schemaOf(t)
	for _, name := range []string{"Trail", "TrailList", "AWSIdentity", "EventLookup", "LogFileValidation"} {
		NewWithT(t).Expect(schema.has(header{APIVersion: v1alpha1.GroupVersion.String(), Kind: name})).To(BeTrue(), name)
	}
}

// TestFiles holds which files of a folder are read.
func TestFiles(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	t.Chdir(root)
	for _, name := range []string{
		"a/z.yaml", "a/b.yml", "a/c.json", "a/C.YAML", "a/d.txt", "a/e", "a/.hidden.yaml", "a/.git/f.yaml", "a/sub/g.yaml",
		"outside/h.yaml",
	} {
		g.Expect(os.MkdirAll(filepath.Dir(name), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(name, nil, 0o600)).To(Succeed())
	}
	for link, target := range map[string]string{
		"a/loop": ".", "a/sub/up": "..", "a/linked.yaml": "../outside/h.yaml", "a/same.yaml": "z.yaml",
		"a/broken.yaml": "nowhere", "a/broken.txt": "nowhere", "a/out": "../outside", "a/root": "/",
		"linked": "a/sub",
	} {
		g.Expect(os.Symlink(target, link)).To(Succeed())
	}
	g.Expect(os.Mkdir("a/folder.yaml", 0o755)).To(Succeed())

	for name, c := range map[string]struct {
		flat     bool
		names    []string
		want     []string
		problems []string
	}{
		"a folder": {
			names: []string{"a"},
			want:  []string{"a/C.YAML", "a/b.yml", "a/c.json", "a/linked.yaml", "a/same.yaml", "a/sub/g.yaml"},
			problems: []string{
				"a/broken.yaml: no such file or directory", "a/out: " + errLeadsOut.Error(), "a/root: " + errLeadsOut.Error(),
			},
		},
		"not what is in its folders": {
			flat: true, names: []string{"a"},
			want:     []string{"a/C.YAML", "a/b.yml", "a/c.json", "a/linked.yaml", "a/same.yaml"},
			problems: []string{"a/broken.yaml: no such file or directory"},
		},
		"a file of any name": {
			names: []string{"a/d.txt", "a/.hidden.yaml"},
			want:  []string{"a/d.txt", "a/.hidden.yaml"},
		},
		"each once": {
			names: []string{"a/z.yaml", "./a/z.yaml", "a/same.yaml", "-", "-"},
			want:  []string{"a/z.yaml", "-"},
		},
		"a hidden folder": {names: []string{"a/.git"}, want: []string{"a/.git/f.yaml"}},
		"a link to a folder": {
			names: []string{"linked"}, want: []string{"linked/g.yaml"},
			problems: []string{"linked/up: " + errLeadsOut.Error()},
		},
		"what does not exist":       {names: []string{"nowhere"}, problems: []string{"nowhere: no such file or directory"}},
		"a folder that is one file": {names: []string{"a/z.yaml/b"}, problems: []string{"a/z.yaml/b: not a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			var problems []string
			found := Find(c.names, !c.flat, func(path string, err error) {
				problems = append(problems, path+": "+err.Error())
			})
			g := NewWithT(t)
			g.Expect(found).To(Equal(c.want))
			g.Expect(problems).To(Equal(c.problems))
		})
	}
}

// endless is an input that does not end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '#'
	}
	return len(p), nil
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	_, err := ReadFile(t.Context(), StandardInput, endless{})
	g.Expect(err).To(MatchError("larger than 64 MiB: split it"))

	folder := t.TempDir()
	_, err = ReadFile(t.Context(), folder, nil)
	g.Expect(err).To(MatchError("is a directory"))
	_, err = ReadFile(t.Context(), filepath.Join(folder, "nothing"), nil)
	g.Expect(err).To(MatchError("no such file or directory"))

	path := filepath.Join(folder, "locked.yaml")
	g.Expect(os.WriteFile(path, []byte("a"), 0o600)).To(Succeed())
	g.Expect(os.Chmod(path, 0)).To(Succeed())
	if _, err = ReadFile(t.Context(), path, nil); os.Geteuid() != 0 {
		g.Expect(err).To(MatchError("permission denied"))
	}
}

func TestBrokenCRD(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	for _, broken := range []string{"", "a: b", "{}", "spec: {versions: [{name: v1}]}"} {
		_, err := NewSchema([]byte(broken))
		g.Expect(err).To(HaveOccurred(), broken)
	}
}
