package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// intruders are people who have rights in all accounts that they should not have.
var intruders = []string{"mallory", "trudy"}

// call is one that an intruder makes.
type call struct {
	operation  string
	parameters map[string]any
}

// intruderDeeds are what intruders do: every write that CloudTrail has.
var intruderDeeds = []deed{
	{"intruder stops the trail", 20, intrude(func(s slot, _ *rand.Rand) call {
		return call{"StopLogging", map[string]any{"Name": s.arn()}}
	})},
	{"intruders stop the trail in turns, as soon as it is repaired", 2, func(w *World, a Action, chance *rand.Rand) {
		s := slotOf(a.Slot)
		for i := range 6 {
			when := time.Duration(i)*2*time.Second + time.Duration(chance.Int64N(int64(time.Second)))
			w.later(a, chance, when, when, func() {
				w.act(intruders[i%len(intruders)], s, call{"StopLogging", map[string]any{"Name": s.arn()}})
				w.ask(a.Slot)
			})
		}
	}},
	{"intruders stop the trail one after the other, and the history shows that late", 2,
		func(w *World, a Action, chance *rand.Rand) {
			s := slotOf(a.Slot)
			w.emulator.SetLags(cloudtrailtest.Lags{History: time.Minute, HistoryMax: 14 * time.Minute})
			for i, who := range intruders {
				when := time.Duration(i) * between(chance, 2*time.Second, 20*time.Second)
				w.later(a, chance, when, when, func() {
					w.act(who, s, call{"StopLogging", map[string]any{"Name": s.arn()}})
				})
			}
			w.later(a, chance, 20*time.Second, time.Minute, func() { w.ask(a.Slot) })
			w.later(a, chance, time.Minute, 5*time.Minute, w.unlag)
		}},
	{"intruder starts the trail", 3, intrude(func(s slot, _ *rand.Rand) call {
		return call{"StartLogging", map[string]any{"Name": s.arn()}}
	})},
	{"intruder deletes the trail", 6, intrude(func(s slot, _ *rand.Rand) call {
		return call{"DeleteTrail", map[string]any{"Name": s.arn()}}
	})},
	{"intruder creates a trail", 3, intrude(func(s slot, chance *rand.Rand) call {
		parameters := map[string]any{"Name": s.trail, "S3BucketName": "stolen-logs"}
		if chance.IntN(2) == 0 {
			parameters["TagsList"] = []any{map[string]any{"Key": v1alpha1.OwnerTagKey, "Value": "another/cluster/trail"}}
		}
		return call{"CreateTrail", parameters}
	})},
	{"intruder changes the settings", 14, intrude(func(s slot, chance *rand.Rand) call {
		return call{"UpdateTrail", []map[string]any{
			{"Name": s.arn(), "S3BucketName": "stolen-logs"},
			{"Name": s.arn(), "S3KeyPrefix": "elsewhere"},
			{"Name": s.arn(), "SnsTopicName": "another-topic"},
			{"Name": s.arn(), "EnableLogFileValidation": chance.IntN(2) == 0},
			{"Name": s.arn(), "IsMultiRegionTrail": chance.IntN(2) == 0, "IncludeGlobalServiceEvents": true},
			{"Name": s.arn(), "CloudWatchLogsLogGroupArn": "", "CloudWatchLogsRoleArn": ""},
		}[chance.IntN(6)]}
	})},
	{"intruder changes the selectors", 8, intrude(changeSelectors)},
	{"intruder changes the selectors, and looks follow each other while AWS lags", 2,
		func(w *World, a Action, chance *rand.Rand) {
			s := slotOf(a.Slot)
			w.lag(a, chance)
			w.act(intruders[0], s, changeSelectors(s, chance))
			repaired := between(chance, 30*time.Second, time.Minute)
			for range 5 {
				w.later(a, chance, repaired, repaired, func() { w.ask(a.Slot) })
				repaired += 2 * time.Second
			}
		}},
	{"intruder changes Insights", 4, intrude(func(s slot, chance *rand.Rand) call {
		return call{"PutInsightSelectors", map[string]any{"TrailName": s.arn(), "InsightSelectors": [][]any{
			{}, {map[string]any{"InsightType": "ApiErrorRateInsight"}},
		}[chance.IntN(2)]}}
	})},
	{"intruder changes aggregation", 3, intrude(func(s slot, _ *rand.Rand) call {
		return call{"PutEventConfiguration", map[string]any{"TrailName": s.arn(), "AggregationConfigurations": []any{}}}
	})},
	{"intruder takes the owner tag", 5, intrude(takeOwnerTag)},
	{"intruder gives the trail to another", 3, intrude(giveAway)},
	{"intruder takes the owner tag, and gives the trail to another before it is repaired", 2,
		func(w *World, a Action, chance *rand.Rand) {
			s, who := slotOf(a.Slot), intruders[chance.IntN(len(intruders))]
			w.act(who, s, takeOwnerTag(s, chance))
			w.traps = append(w.traps, &trap{
				about: s.arn(), after: chance.IntN(2) == 0, do: func() { w.act(who, s, giveAway(s, chance)) },
			})
		}},
	{"intruder gives the trail to another while all are changed, and uses up the writes that AWS takes", 2,
		func(w *World, a Action, chance *rand.Rand) {
			s, who := slotOf(a.Slot), intruders[chance.IntN(len(intruders))]
			w.injectWrites(a, chance, 2*time.Minute, cloudtrailtest.Fault{
				Code: "ThrottlingException", Message: "Rate exceeded", Probability: 0.5,
			})
			w.editAll(s, chance)
			w.later(a, chance, 0, 10*time.Second, func() { w.act(who, s, giveAway(s, chance)) })
		}},
	{"intruder changes tags", 6, intrude(func(s slot, chance *rand.Rand) call {
		tag := map[string]any{"Key": fmt.Sprintf("tag-%d", chance.IntN(5))}
		if chance.IntN(2) == 0 {
			return call{"RemoveTags", map[string]any{"ResourceId": s.arn(), "TagsList": []any{tag}}}
		}
		tag["Value"] = "forged"
		return call{"AddTags", map[string]any{"ResourceId": s.arn(), "TagsList": []any{tag}}}
	})},
	{"intruder uses all tags up", 1, intrude(func(s slot, _ *rand.Rand) call {
		var tags []any
		for i := range 40 {
			tags = append(tags, map[string]any{"Key": fmt.Sprintf("junk-%d", i)})
		}
		return call{"AddTags", map[string]any{"ResourceId": s.arn(), "TagsList": tags}}
	})},
	{"intruder makes noise", 2, func(w *World, a Action, chance *rand.Rand) {
		operation := []string{"StopLogging", "StartLogging", "UpdateTrail"}[chance.IntN(3)]
		for range 1100 {
			w.act(intruders[chance.IntN(len(intruders))], slotOf(a.Slot), call{operation, map[string]any{"Name": "noise"}})
		}
	}},
}

// changeSelectors replaces the event selectors.
func changeSelectors(s slot, _ *rand.Rand) call {
	return call{"PutEventSelectors", map[string]any{"TrailName": s.arn(), "EventSelectors": []any{
		map[string]any{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": true, "DataResources": []any{}},
	}}}
}

// takeOwnerTag removes the owner tag.
func takeOwnerTag(s slot, _ *rand.Rand) call {
	return call{"RemoveTags", map[string]any{"ResourceId": s.arn(), "TagsList": []any{
		map[string]any{"Key": v1alpha1.OwnerTagKey},
	}}}
}

// giveAway sets another owner tag.
func giveAway(s slot, _ *rand.Rand) call {
	return call{"AddTags", map[string]any{"ResourceId": s.arn(), "TagsList": []any{
		map[string]any{"Key": v1alpha1.OwnerTagKey, "Value": "another/cluster/trail"},
	}}}
}

// intrude makes a deed of a call: it is made at once, several times, or when the operator is at work on the trail.
func intrude(choose func(slot, *rand.Rand) call) func(*World, Action, *rand.Rand) {
	return func(w *World, a Action, chance *rand.Rand) {
		s, who := slotOf(a.Slot), intruders[chance.IntN(len(intruders))]
		made := choose(s, chance)
		do := func() { w.act(who, s, made) }
		switch chance.IntN(8) {
		case 0:
			w.traps = append(w.traps, &trap{about: s.arn(), after: chance.IntN(2) == 0, do: do})
		case 1:
			do()
			w.later(a, chance, time.Second, time.Minute, do)
		case 2:
			do()
			other := intruders[chance.IntN(len(intruders))]
			w.later(a, chance, 0, time.Minute, func() { w.act(other, s, choose(s, chance)) })
		default:
			do()
		}
	}
}

// act lets an intruder make a call. Its rate is not that of the operator, which is tested elsewhere.
func (w *World) act(who string, s slot, c call) {
	w.truth.acting = c.parameters
	defer func() { w.truth.acting = nil }()
	_, err := w.emulator.As(actor(who, s)).Do(regions[s.region], c.operation, c.parameters)
	if c.parameters["Name"] != "noise" {
		w.note("%s %s %s: %v", who, c.operation, s.arn(), err)
	}
}

// trap is what an intruder does right before, or right after, the operator's next call about a trail.
type trap struct {
	// about is the ARN of a trail, a path at the API server, or anyCall.
	about string
	after bool
	// skip is how many such calls do not count.
	skip int
	do   func()
}

// anyCall is any call to AWS.
const anyCall = "aws"

// spring does what waits for the operator's request.
func (w *World) spring(r *request, done bool) {
	for i, t := range w.traps {
		isAbout := strings.HasSuffix(t.about, "/"+r.target) || t.about == r.target || t.about == r.link.name
		if !isAbout || t.after != done {
			continue
		}
		if t.skip--; t.skip < 0 {
			w.traps = append(w.traps[:i:i], w.traps[i+1:]...)
			w.note("a trap springs")
			t.do()
			return
		}
	}
}

// actor is somebody in the account of a slot.
func actor(who string, s slot) cloudtrailtest.Actor {
	return cloudtrailtest.Actor{ARN: "arn:aws:iam::" + s.accountID + ":user/" + who}
}
