// Package events_test checks the templates in this folder: against what CloudFormation takes, and that they send the
// right events and allow nothing else. hack/terraform checks that the Terraform modules do the same.
package events_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// operations are what the rules send, by the service's name in events.
var operations = map[string]map[string][]string{
	"trails": {
		"cloudtrail": {
			"CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging", "PutEventSelectors",
			"PutInsightSelectors", "PutEventConfiguration", "AddTags", "RemoveTags",
		},
	},
	"prerequisites": {
		"s3":  {"CreateBucket", "DeleteBucket", "PutBucketPolicy", "DeleteBucketPolicy"},
		"kms": {"PutKeyPolicy", "EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion"},
		"sns": {"CreateTopic", "DeleteTopic", "SetTopicAttributes", "AddPermission", "RemovePermission"},
		"iam": {
			"CreateRole", "DeleteRole", "UpdateAssumeRolePolicy", "PutRolePolicy", "DeleteRolePolicy",
			"AttachRolePolicy", "DetachRolePolicy",
		},
		"logs": {"CreateLogGroup", "DeleteLogGroup"},
	},
}

// maxPattern is EventBridge's default quota for a pattern, in characters.
const maxPattern = 2048

// policies are the statements of the policies in the templates, in testdata/policies.json by the template's name for
// what has them.
type policies map[string][]any

// sorted compares the lists of policies and patterns without regard to their order.
var sorted = cmpopts.SortSlices(func(a, b any) bool {
	one := as[string](a)
	other := as[string](b)
	return one < other
})

func TestPatternsAreTheOperations(t *testing.T) {
	var patterns map[string]any
	readJSON(t, "testdata/patterns.json", &patterns)
	want := map[string]any{}
	for rule, services := range operations {
		var sources, eventSources, names []any
		for service, operations := range services {
			sources = append(sources, "aws."+service)
			eventSources = append(eventSources, service+".amazonaws.com")
			for _, operation := range operations {
				names = append(names, operation)
			}
		}
		want[rule] = object{
			"source":      sources,
			"detail-type": []any{"AWS API Call via CloudTrail"},
			"detail":      object{"eventSource": eventSources, "eventName": names},
		}
	}

	if difference := cmp.Diff(any(want), any(patterns), sorted); difference != "" {
		t.Errorf("testdata/patterns.json has other operations (-want +got):\n%s", difference)
	}
}

func TestTemplatesHaveThePatterns(t *testing.T) {
	var patterns map[string]any
	readJSON(t, "testdata/patterns.json", &patterns)
	for file, rules := range map[string]map[string]string{
		"queue.yaml": {
			"TrailsRule": "trails", "PrerequisitesRule": "prerequisites",
			"ForwardedTrailsRule": "trails", "ForwardedPrerequisitesRule": "prerequisites",
		},
		"forward.yaml": {"ForwardTrailsRule": "trails", "ForwardPrerequisitesRule": "prerequisites"},
	} {
		for name, r := range readTemplate(t, file).resources {
			if r.kind != "AWS::Events::Rule" {
				continue
			}
			pattern := render(r.properties["EventPattern"], true)
			if difference := cmp.Diff(patterns[rules[name]], pattern, sorted); difference != "" {
				t.Errorf("%s: %s has another pattern (-want +got):\n%s", file, name, difference)
			}
			if text, err := json.Marshal(pattern); err != nil || len(text) > maxPattern {
				t.Errorf("%s: the pattern of %s has %d characters: %v", file, name, len(text), err)
			}
		}
	}
}

// matches is EventBridge's matching, for patterns of names and texts: an event must have each name of the pattern, with
// one of the texts.
func matches(t *testing.T, pattern, event any) bool {
	t.Helper()
	switch pattern := pattern.(type) {
	case object:
		members, ok := event.(object)
		for name, member := range pattern {
			ok = ok && matches(t, member, members[name])
		}
		return ok
	case []any:
		for _, text := range pattern {
			if _, ok := text.(string); !ok {
				t.Fatalf("the pattern has %v; only texts are known", text)
			}
		}
		if values, ok := event.([]any); ok {
			return slices.ContainsFunc(values, func(value any) bool { return slices.Contains(pattern, value) })
		}
		return slices.Contains(pattern, event)
	default:
		t.Fatalf("the pattern has %v; lists and mappings are valid", pattern)
		return false
	}
}

func TestPatternsMatchEvents(t *testing.T) {
	var patterns map[string]any
	readJSON(t, "testdata/patterns.json", &patterns)
	var samples []struct {
		Name, Rule string
		Event      any
	}
	readJSON(t, "testdata/events.json", &samples)
	for _, sample := range samples {
		t.Run(sample.Name, func(t *testing.T) {
			for rule, pattern := range patterns {
				if got, want := matches(t, pattern, sample.Event), rule == sample.Rule; got != want {
					t.Errorf("matches the rule %s: %t, want %t", rule, got, want)
				}
			}
		})
	}
}

// statements are the policies of a template.
func statements(t template, conditions bool) policies {
	found := policies{}
	document := func(value any) []any {
		rendered := as[object](render(value, conditions))
		list := as[[]any](rendered["Statement"])
		return list
	}
	rules := map[string]string{}
	for name, r := range t.resources {
		if rule, ok := render(r.properties["Name"], conditions).(string); ok && r.kind == "AWS::Events::Rule" {
			rules["arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/"+rule] = "${" + name + ".Arn}"
		}
	}

	for name, r := range t.resources {
		if r.condition != "" && !conditions {
			continue
		}
		switch r.kind {
		case "AWS::SQS::QueuePolicy":
			queue := "Queue"
			if name != "QueuePolicy" {
				queue = strings.TrimSuffix(name, "Policy")
			}
			found[queue] = document(r.properties["PolicyDocument"])
		case "AWS::Events::EventBusPolicy":
			statement := as[object](render(r.properties["Statement"], conditions))
			statement["Sid"] = r.properties["StatementId"]
			found["EventBus"] = append(found["EventBus"], statement)
		case "AWS::IAM::ManagedPolicy":
			found[strings.TrimSuffix(name, "Policy")] = document(r.properties["PolicyDocument"])
		case "AWS::IAM::Role":
			found["ForwardTrust"] = document(r.properties["AssumeRolePolicyDocument"])
			for _, inline := range as[[]any](r.properties["Policies"]) {
				policy := as[object](inline)
				found["Forward"] = append(found["Forward"], document(policy["PolicyDocument"])...)
			}
		}
	}
	slices.SortFunc(found["EventBus"], func(a, b any) int { return strings.Compare(sid(a), sid(b)) })
	return named(found, rules)
}

func sid(statement any) string {
	members := as[object](statement)
	id := as[string](members["Sid"])
	return id
}

// named replaces the ARNs of rules with the rules' names.
func named(found policies, rules map[string]string) policies {
	var replace func(value any) any
	replace = func(value any) any {
		switch value := value.(type) {
		case object:
			for name := range value {
				value[name] = replace(value[name])
			}
		case []any:
			for i := range value {
				value[i] = replace(value[i])
			}
		case string:
			if rule, ok := rules[value]; ok {
				return rule
			}
		}
		return value
	}
	for name := range found {
		replace(found[name])
	}
	return found
}

func TestTemplatesHaveThePolicies(t *testing.T) {
	for name, conditions := range map[string]bool{"with everything": true, "with nothing optional": false} {
		t.Run(name, func(t *testing.T) {
			var want policies
			readJSON(t, "testdata/policies.json", &want)
			if !conditions {
				delete(want, "EventBus")
				want["Operator"] = want["Operator"][:1]
			}
			got := statements(readTemplate(t, "queue.yaml"), conditions)
			for holder, forward := range statements(readTemplate(t, "forward.yaml"), conditions) {
				got[holder] = append(got[holder], forward...)
			}
			if len(got["EventBus"]) == 0 {
				delete(got, "EventBus")
			}
			if difference := cmp.Diff(want, got, sorted); difference != "" {
				t.Errorf("the templates have other policies than testdata/policies.json (-want +got):\n%s", difference)
			}
		})
	}
}

// TestPoliciesAllowNothingElse is about testdata/policies.json, which the templates and the Terraform modules equal.
func TestPoliciesAllowNothingElse(t *testing.T) {
	allowed := map[string][]string{
		"Queue":              {"sqs:SendMessage"},
		"DeadLetters":        {"sqs:SendMessage"},
		"ForwardDeadLetters": {"sqs:SendMessage"},
		"EventBus":           {"events:PutEvents", "events:PutEvents"},
		"Forward":            {"events:PutEvents"},
		"ForwardTrust":       {"sts:AssumeRole"},
		"Operator":           {"kms:Decrypt", "sqs:DeleteMessage", "sqs:ReceiveMessage"},
	}
	aRule := regexp.MustCompile(`^\$\{\w+Rule\.Arn\}$`)
	var all policies
	readJSON(t, "testdata/policies.json", &all)
	for holder, list := range all {
		var actions []string
		deniesWithoutTLS := false
		for _, member := range list {
			s := asStatement(t, member)
			if s.Effect == "Deny" {
				deniesWithoutTLS = s.Principal == "*" && slices.Equal(s.Action, []string{"sqs:*"}) &&
					s.Condition["Bool"]["aws:SecureTransport"][0] == "false" && s.Resource[0] == "${"+holder+".Arn}"
				continue
			}
			actions = append(actions, s.Action...)
			if principal, ok := s.Principal.(object); ok && principal["Service"] != nil {
				arns := s.Condition["ArnEquals"]["aws:SourceArn"]
				if principal["Service"] != "events.amazonaws.com" || len(arns) == 0 ||
					slices.ContainsFunc(arns, func(arn string) bool { return !aRule.MatchString(arn) }) ||
					!slices.Equal(s.Condition["StringEquals"]["aws:SourceAccount"], []string{"${AWS::AccountId}"}) {
					t.Errorf("%s: %s is not for the rules of this account only", holder, s.Sid)
				}
			}
			if s.Principal == "*" && s.Condition["StringEquals"]["aws:PrincipalOrgID"] == nil {
				t.Errorf("%s: %s is for everybody", holder, s.Sid)
			}
			if slices.ContainsFunc(s.Resource, func(r string) bool { return strings.Contains(r, "*") }) {
				t.Errorf("%s: %s is for any resource", holder, s.Sid)
			}
		}
		slices.Sort(actions)
		if !slices.Equal(actions, allowed[holder]) {
			t.Errorf("%s allows %v, want %v", holder, actions, allowed[holder])
		}
		if strings.HasPrefix(allowed[holder][0], "sqs:Send") && !deniesWithoutTLS {
			t.Errorf("%s does not deny calls without TLS", holder)
		}
	}
}

// list is a JSON string, or a list of them.
type list []string

func (l *list) UnmarshalJSON(text []byte) error {
	if one := ""; json.Unmarshal(text, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

type statement struct {
	Sid, Effect string
	Principal   any
	Action      list
	Resource    list
	Condition   map[string]map[string]list
}

func asStatement(t *testing.T, value any) statement {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var s statement
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// ruleName is how the rules are named: the role of forward.yaml names them too.
var ruleName = regexp.MustCompile(`^\$\{NamePrefix\}-[a-z-]+$`)

func TestTargets(t *testing.T) {
	retry := object{"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 185}
	for file, want := range map[string]object{
		"queue.yaml": {
			"Id": "queue", "Arn": "${Queue.Arn}",
			"DeadLetterConfig": object{"Arn": "${DeadLetters.Arn}"}, "RetryPolicy": retry,
		},
		"forward.yaml": {
			"Id": "trail-operator", "Arn": "${EventBusARN}", "RoleArn": "${ForwardRole.Arn}",
			"DeadLetterConfig": object{"Arn": "${ForwardDeadLetters.Arn}"}, "RetryPolicy": retry,
		},
	} {
		for name, r := range readTemplate(t, file).resources {
			if r.kind != "AWS::Events::Rule" {
				continue
			}
			if difference := cmp.Diff(any([]any{want}), render(r.properties["Targets"], true)); difference != "" {
				t.Errorf("%s: %s has other targets (-want +got):\n%s", file, name, difference)
			}
			for conditions, state := range map[bool]string{true: "ENABLED", false: "DISABLED"} {
				if strings.Contains(name, "Trails") {
					state = "ENABLED"
				}
				if got := render(r.properties["State"], conditions); got != state {
					t.Errorf("%s: the state of %s is %v, want %s", file, name, got, state)
				}
			}
			if rule := as[string](render(r.properties["Name"], true)); !ruleName.MatchString(rule) {
				t.Errorf("%s: the name of %s is %s", file, name, rule)
			}
			onBus := r.properties["EventBusName"] != nil
			if strings.HasPrefix(name, "Forwarded") != onBus {
				t.Errorf("%s: %s is on the wrong event bus", file, name)
			}
		}
	}
}

func TestQueues(t *testing.T) {
	resources := readTemplate(t, "queue.yaml").resources
	queue := object{
		"QueueName": "${NamePrefix}-events", "MessageRetentionPeriod": 3600, "VisibilityTimeout": 60,
		"ReceiveMessageWaitTimeSeconds": 20, "SqsManagedSseEnabled": true,
		"RedrivePolicy": object{"deadLetterTargetArn": "${DeadLetters.Arn}", "maxReceiveCount": 5},
	}
	if difference := cmp.Diff(any(queue), render(resources["Queue"].properties, false)); difference != "" {
		t.Errorf("the queue (-want +got):\n%s", difference)
	}
	deadLetters := object{
		"QueueName": "${NamePrefix}-events-dead-letters", "MessageRetentionPeriod": 14 * 24 * 60 * 60,
		"SqsManagedSseEnabled": true,
		"RedriveAllowPolicy": object{
			"redrivePermission": "byQueue",
			"sourceQueueArns": []any{
				"arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${NamePrefix}-events",
			},
		},
	}
	if difference := cmp.Diff(any(deadLetters), render(resources["DeadLetters"].properties, false)); difference != "" {
		t.Errorf("the dead-letter queue (-want +got):\n%s", difference)
	}
	for _, name := range []string{"Queue", "DeadLetters"} {
		encrypted := as[object](render(resources[name].properties, true))
		if encrypted["KmsMasterKeyId"] != "${KeyARN}" || encrypted["SqsManagedSseEnabled"] != nil {
			t.Errorf("%s with a key: %v", name, encrypted)
		}
	}
}

func TestKeyPolicy(t *testing.T) {
	var policy struct {
		Version   string
		Statement []any
	}
	readJSON(t, "key-policy.json", &policy)
	events := asStatement(t, policy.Statement[len(policy.Statement)-1])
	principal := as[object](events.Principal)
	if principal["Service"] != "events.amazonaws.com" ||
		!slices.Equal(events.Action, []string{"kms:GenerateDataKey", "kms:Decrypt"}) {
		t.Errorf("EventBridge cannot use the key: %+v", events)
	}
}

// TestReadme holds that the commands name parameters, outputs and files that exist.
// TestGuide holds that the commands of docs/events.md are for the templates, as those of README.md are.
func TestGuide(t *testing.T) {
	const guide = "../../../docs/events.md"
	queue := readTemplate(t, "queue.yaml")
	text := string(readFile(t, guide))
	for pattern, of := range map[string]map[string]object{
		`--parameter-overrides (\w+)=`: queue.parameters,
		`OutputKey==\W(\w+)`:           queue.outputs,
		`output .(\w+).\)`:             queue.outputs,
	} {
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
		if len(found) == 0 {
			t.Errorf("%s has no %s", guide, pattern)
		}
		for _, match := range found {
			if of[match[1]] == nil {
				t.Errorf("%s names %s, which is not in queue.yaml", guide, match[1])
			}
		}
	}
	for _, match := range regexp.MustCompile(`--template-file (\S+)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat("../../../" + match[1]); err != nil {
			t.Errorf("%s: %v", guide, err)
		}
	}
}

func TestReadme(t *testing.T) {
	readme := string(readFile(t, "README.md"))
	queue, forward := readTemplate(t, "queue.yaml"), readTemplate(t, "forward.yaml")
	commands := regexp.MustCompile(`(?:--parameter-overrides |ParameterKey=|OutputKey==\W)(\w+)`)
	found := commands.FindAllStringSubmatch(readme, -1)
	if len(found) == 0 {
		t.Error("README.md has no commands")
	}
	for _, match := range found {
		name := match[1]
		if queue.parameters[name] == nil && forward.parameters[name] == nil && queue.outputs[name] == nil {
			t.Errorf("README.md names %s, which is neither a parameter nor an output", name)
		}
	}
	for _, match := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(readme, -1) {
		if _, err := os.Stat(match[1]); err != nil {
			t.Errorf("README.md: %v", err)
		}
	}
	for _, name := range slices.Concat(names(queue.parameters), names(forward.parameters)) {
		if !strings.Contains(readme, name) {
			t.Errorf("README.md does not explain the parameter %s", name)
		}
	}
}

func names(parameters map[string]object) []string {
	var names []string
	for name := range parameters {
		names = append(names, name)
	}
	return names
}
