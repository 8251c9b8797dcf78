package terraform

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

const (
	events  = "../../config/aws/events"
	hub     = events + "/terraform"
	forward = events + "/terraform/forward"
)

// named are the names in the CloudFormation templates of what the modules have.
var named = map[string]map[string]string{
	hub: {
		"aws_sqs_queue.events":                                 "Queue",
		"aws_sqs_queue.dead_letters":                           "DeadLetters",
		"aws_cloudwatch_event_bus.forwarded":                   "EventBus",
		`aws_cloudwatch_event_rule.direct["trails"]`:           "TrailsRule",
		`aws_cloudwatch_event_rule.direct["prerequisites"]`:    "PrerequisitesRule",
		`aws_cloudwatch_event_rule.forwarded["trails"]`:        "ForwardedTrailsRule",
		`aws_cloudwatch_event_rule.forwarded["prerequisites"]`: "ForwardedPrerequisitesRule",
	},
	forward: {
		"aws_sqs_queue.dead_letters":                         "ForwardDeadLetters",
		"aws_iam_role.forward":                               "ForwardRole",
		`aws_cloudwatch_event_rule.forward["trails"]`:        "ForwardTrailsRule",
		`aws_cloudwatch_event_rule.forward["prerequisites"]`: "ForwardPrerequisitesRule",
	},
}

// everything sets each optional variable.
var everything = map[string]map[string]cty.Value{
	hub: {
		"operator_role_name": cty.StringVal("trail-operator"),
		"key_arn":            cty.StringVal("${KeyARN}"),
		"accounts":           cty.ListVal([]cty.Value{cty.StringVal("${Accounts}")}),
		"organization_id":    cty.StringVal("${OrganizationID}"),
	},
	forward: {"event_bus_arn": cty.StringVal("${EventBusARN}")},
}

// nothing sets only what is required, and leaves the prerequisites out.
var nothing = map[string]map[string]cty.Value{
	hub:     {"watch_prerequisites": cty.False},
	forward: {"event_bus_arn": cty.StringVal("${EventBusARN}"), "watch_prerequisites": cty.False},
}

func read(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(folder + "/*.tf")
	if err != nil || len(names) == 0 {
		t.Fatalf("no module in %s: %v", folder, err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = text
	}
	return files
}

func evaluate(t *testing.T, folder string, variables map[string]cty.Value) map[string]cty.Value {
	t.Helper()
	m, err := parse(read(t, folder))
	if err != nil {
		t.Fatal(err)
	}
	m.named = named[folder]
	instances, err := m.evaluate(variables)
	if err != nil {
		t.Fatal(err)
	}
	if unused := m.unused(); unused != nil {
		t.Errorf("%s: nothing refers to %v", folder, unused)
	}
	values := map[string]cty.Value{}
	for _, i := range instances {
		values[i.address] = i.value
	}
	return values
}

func readJSON(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(events, "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(text))
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

// compare ignores the order of lists of texts, and a list of one text is the text.
var compare = cmp.Options{
	cmpopts.SortSlices(func(a, b any) bool {
		one := as[string](a)
		other := as[string](b)
		return one < other
	}),
	cmp.FilterValues(func(a, b any) bool { return isList(a) != isList(b) }, cmp.Comparer(func(a, b any) bool {
		return cmp.Equal(single(a), single(b))
	})),
}

func isList(value any) bool {
	_, ok := value.([]any)
	return ok
}

func single(value any) any {
	if members, ok := value.([]any); ok && len(members) == 1 {
		return members[0]
	}
	return value
}

func TestFormatted(t *testing.T) {
	for _, folder := range []string{hub, forward} {
		files := read(t, folder)
		for name, text := range files {
			if formatted := string(hclwrite.Format(text)); formatted != string(text) {
				t.Errorf("%s: terraform fmt (-have +want):\n%s", name, cmp.Diff(string(text), formatted))
			}
		}
		for _, name := range []string{"main.tf", "outputs.tf", "variables.tf", "versions.tf"} {
			if files[name] == nil {
				t.Errorf("%s has no %s", folder, name)
			}
		}
	}
}

func TestPatterns(t *testing.T) {
	patterns := readJSON(t, "patterns.json")
	for folder, variables := range everything {
		rules := 0
		for address, value := range evaluate(t, folder, variables) {
			if !strings.HasPrefix(address, "aws_cloudwatch_event_rule.") {
				continue
			}
			rules++
			rule := strings.Split(address, `"`)[1]
			got := decode(t, value.GetAttr("event_pattern").AsString())
			if difference := cmp.Diff(patterns[rule], any(got), compare); difference != "" {
				t.Errorf("%s has another pattern (-want +got):\n%s", address, difference)
			}
			if onBus := !value.GetAttr("event_bus_name").IsNull(); onBus != strings.Contains(address, ".forwarded[") {
				t.Errorf("%s is on the wrong event bus", address)
			}
		}
		if want := map[string]int{hub: 4, forward: 2}[folder]; rules != want {
			t.Errorf("%s has %d rules, want %d", folder, rules, want)
		}
	}
}

func TestPolicies(t *testing.T) {
	want := readJSON(t, "policies.json")
	got := map[string]any{}
	for folder, variables := range everything {
		values := evaluate(t, folder, variables)
		policies := map[string][2]string{
			"Queue":       {`aws_sqs_queue_policy.queues["events"]`, "policy"},
			"DeadLetters": {`aws_sqs_queue_policy.queues["dead_letters"]`, "policy"},
			"EventBus":    {"aws_cloudwatch_event_bus_policy.forwarded", "policy"},
			"Operator":    {"aws_iam_policy.operator", "policy"},
		}
		if folder == forward {
			policies = map[string][2]string{
				"Forward":            {"aws_iam_role_policy.forward", "policy"},
				"ForwardTrust":       {"aws_iam_role.forward", "assume_role_policy"},
				"ForwardDeadLetters": {"aws_sqs_queue_policy.dead_letters", "policy"},
			}
		}
		for holder, place := range policies {
			value, found := values[place[0]]
			if !found {
				t.Fatalf("%s has no %s", folder, place[0])
			}
			policy := decode(t, value.GetAttr(place[1]).AsString())
			if policy["Version"] != "2012-10-17" {
				t.Errorf("%s: version %v", place[0], policy["Version"])
			}
			got[holder] = policy["Statement"]
		}
		for address, value := range values {
			attached := strings.HasPrefix(address, "aws_sqs_queue_policy.") || strings.HasPrefix(address, "aws_iam_role_policy.")
			if attached && !slices.ContainsFunc(slices.Collect(valuesOf(policies)), func(p [2]string) bool {
				return p[0] == address
			}) {
				t.Errorf("%s: an unknown policy: %#v", address, value)
			}
		}
	}
	if difference := cmp.Diff(any(want), any(got), compare); difference != "" {
		t.Errorf("the modules have other policies than testdata/policies.json (-want +got):\n%s", difference)
	}
}

func valuesOf(policies map[string][2]string) func(yield func([2]string) bool) {
	return func(yield func([2]string) bool) {
		for _, place := range policies {
			if !yield(place) {
				return
			}
		}
	}
}

func TestNothingOptional(t *testing.T) {
	values := evaluate(t, hub, nothing[hub])
	for _, address := range []string{
		"aws_cloudwatch_event_bus_policy.forwarded", "aws_iam_role_policy_attachment.operator",
		`aws_cloudwatch_event_rule.direct["prerequisites"]`, `aws_cloudwatch_event_rule.forwarded["prerequisites"]`,
	} {
		if _, found := values[address]; found {
			t.Errorf("%s is there", address)
		}
	}
	operator := decode(t, values["aws_iam_policy.operator"].GetAttr("policy").AsString())
	if statements := as[[]any](operator["Statement"]); len(statements) != 1 {
		t.Errorf("the operator's policy: %v", operator)
	}
	for _, address := range []string{"aws_sqs_queue.events", "aws_sqs_queue.dead_letters"} {
		if q := values[address]; q.GetAttr("sqs_managed_sse_enabled").False() || !q.GetAttr("kms_master_key_id").IsNull() {
			t.Errorf("%s is not encrypted with SSE-SQS", address)
		}
	}
	if len(evaluate(t, forward, nothing[forward])) != 6 {
		t.Error("forward has other resources than a rule, a target, a role and its policy, a queue and its policy")
	}
}

func TestTargets(t *testing.T) {
	for folder, variables := range everything {
		queue, role, deadLetters := "${Queue.Arn}", "", "${DeadLetters.Arn}"
		if folder == forward {
			queue, role, deadLetters = "${EventBusARN}", "${ForwardRole.Arn}", "${ForwardDeadLetters.Arn}"
		}
		for address, value := range evaluate(t, folder, variables) {
			if !strings.HasPrefix(address, "aws_cloudwatch_event_target.") {
				continue
			}
			want := cty.ObjectVal(map[string]cty.Value{
				"maximum_event_age_in_seconds": cty.NumberIntVal(3600), "maximum_retry_attempts": cty.NumberIntVal(185),
			})
			got := value.GetAttr("role_arn")
			if value.GetAttr("arn").AsString() != queue || got.IsNull() != (role == "") ||
				!got.IsNull() && got.AsString() != role ||
				value.GetAttr("dead_letter_config").GetAttr("arn").AsString() != deadLetters ||
				!value.GetAttr("retry_policy").RawEquals(want) {
				t.Errorf("%s: another target: %#v", address, value)
			}
		}
	}
}

func TestQueue(t *testing.T) {
	values := evaluate(t, hub, everything[hub])
	queue, deadLetters := values["aws_sqs_queue.events"], values["aws_sqs_queue.dead_letters"]
	for name, want := range map[string]int64{
		"message_retention_seconds": 3600, "visibility_timeout_seconds": 60, "receive_wait_time_seconds": 20,
	} {
		if got := queue.GetAttr(name); !got.RawEquals(cty.NumberIntVal(want)) {
			t.Errorf("%s is %#v, want %d", name, got, want)
		}
	}
	redrive := map[string]any{"deadLetterTargetArn": "${DeadLetters.Arn}", "maxReceiveCount": 5.0}
	if difference := cmp.Diff(redrive, decode(t, queue.GetAttr("redrive_policy").AsString())); difference != "" {
		t.Errorf("the redrive policy (-want +got):\n%s", difference)
	}
	if got := deadLetters.GetAttr("message_retention_seconds"); !got.RawEquals(cty.NumberIntVal(14 * 24 * 60 * 60)) {
		t.Errorf("the dead-letter queue keeps messages for %#v seconds", got)
	}
	for _, q := range []cty.Value{queue, deadLetters} {
		if !q.GetAttr("sqs_managed_sse_enabled").IsNull() || q.GetAttr("kms_master_key_id").AsString() != "${KeyARN}" {
			t.Errorf("a queue is not encrypted with the key: %#v", q)
		}
	}
}

// TestMistakes changes the module of the hub.
func TestMistakes(t *testing.T) {
	for name, test := range map[string]struct{ old, replacement, want string }{
		"unknown argument":    {"visibility_timeout_seconds", "visibility_timeout", "unknown argument"},
		"unknown block":       {"retry_policy {", "retries {", "unknown block"},
		"unknown resource":    {`"aws_sqs_queue_policy"`, `"aws_sqs_policy"`, "no schema"},
		"wrong type":          {"= 3600\n", `= "an hour"` + "\n", "wrong type"},
		"missing argument":    {"  target_id = \"queue\"\n  arn       = aws_sqs_queue.events.arn\n", "", "arn is missing"},
		"undefined variable":  {"var.key_arn\n", "var.key\n", "undefined reference var.key"},
		"undefined local":     {"local.watched", "local.watch", "undefined reference local.watch"},
		"undefined resource":  {"aws_sqs_queue.events.arn", "aws_sqs_queue.queue.arn", "undefined reference"},
		"undefined data":      {"aws_caller_identity.current.account_id", "aws_caller_identity.me.account_id", "undefined"},
		"undefined attribute": {"aws_sqs_queue.dead_letters.url", "aws_sqs_queue.dead_letters.uri", "Unsupported attribute"},
		"unknown function":    {"jsonencode(", "json(", "no function"},
		"circle":              {"= local.queues", "= local.queues\n  a = aws_sqs_queue_policy.queues", "wait for each other"},
	} {
		t.Run(name, func(t *testing.T) {
			files := read(t, hub)
			changed := strings.Replace(string(files["main.tf"]), test.old, test.replacement, 1)
			if changed == string(files["main.tf"]) {
				t.Fatalf("main.tf has no %q", test.old)
			}
			files["main.tf"] = []byte(changed)
			m, err := parse(files)
			if err == nil {
				_, err = m.evaluate(everything[hub])
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want an error with %q, got: %v", test.want, err)
			}
		})
	}
}
