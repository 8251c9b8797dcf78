package simulation

import (
	"math/rand/v2"
	"time"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
	"github.com/trail-operator/trail-operator/controllers/lease"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

// operations are those of CloudTrail that the operator calls, the writes first, and of STS and SQS.
var operations = []string{
	"CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging", "PutEventSelectors", "PutInsightSelectors",
	"PutEventConfiguration", "AddTags", "RemoveTags", "DescribeTrails", "ListTags", "GetTrailStatus", "GetEventSelectors",
	"GetInsightSelectors", "GetEventConfiguration", "LookupEvents", "GetCallerIdentity", "AssumeRole", receiving,
	"DeleteMessageBatch",
}

// deniedFields are operations that may be denied for good, with the fields that need not be as the spec says then.
// Aggregation and event selectors depend on each other, and Insights on the selectors.
var deniedFields = map[string][]string{
	"GetInsightSelectors":   {fieldInsights},
	"PutInsightSelectors":   {fieldInsights},
	"GetEventConfiguration": {fieldAggregate, fieldSelectors, fieldInsights},
	"PutEventConfiguration": {fieldAggregate, fieldSelectors, fieldInsights},
	"AddTags":               {fieldTags, fieldOwnerTag},
	"RemoveTags":            {fieldTags},
}

// deny makes AWS deny the operation that stays denied.
func (w *World) deny() {
	if w.shape.Denied == "" {
		return
	}
	w.note("%s is denied for good", w.shape.Denied)
	w.emulator.Inject(cloudtrailtest.Fault{Operation: w.shape.Denied, Code: "AccessDeniedException", Message: "denied"})
}

// slowestWatch is how late a watch may be at most.
const slowestWatch = time.Minute

// writeOperations is how many of the operations are writes.
const writeOperations = 10

// faultDeeds are what goes wrong outside of the operator, for a while.
var faultDeeds = []deed{
	{"AWS denies an operation", 8, fault(func(*rand.Rand) cloudtrailtest.Fault {
		return cloudtrailtest.Fault{Code: "AccessDeniedException", Message: "denied"}
	})},
	{"AWS does not tell whose trails are while all are changed", 2, func(w *World, a Action, chance *rand.Rand) {
		s := slotOf(a.Slot)
		w.inject(a, chance, 2*time.Minute, cloudtrailtest.Fault{
			AccountID: s.accountID, Operation: "ListTags", Code: "AccessDeniedException", Message: "denied",
		})
		w.editAll(s, chance)
	}},
	{"AWS fails", 6, fault(func(chance *rand.Rand) cloudtrailtest.Fault {
		return cloudtrailtest.Fault{Code: "InternalFailure", Status: 500, Probability: chance.Float64()}
	})},
	{"AWS throttles", 4, fault(func(chance *rand.Rand) cloudtrailtest.Fault {
		return cloudtrailtest.Fault{Code: "ThrottlingException", Message: "Rate exceeded", Probability: chance.Float64()}
	})},
	{"AWS loses answers", 4, fault(func(chance *rand.Rand) cloudtrailtest.Fault {
		return cloudtrailtest.Fault{DropAfter: true, Probability: chance.Float64()}
	})},
	{"AWS swallows a write", 1, fault(func(*rand.Rand) cloudtrailtest.Fault {
		return cloudtrailtest.Fault{NotApplied: true, Times: 1}
	})},
	{"AWS has a conflict", 3, fault(func(chance *rand.Rand) cloudtrailtest.Fault {
		return cloudtrailtest.Fault{Code: "ConflictException", Message: "busy", Times: 1 + chance.IntN(3)}
	})},
	{"AWS lags", 6, (*World).lag},
	{"AWS is slow", 4, func(w *World, a Action, chance *rand.Rand) {
		w.setAWSNetwork(conditions{
			least: awsLatency, most: between(chance, time.Second, 20*time.Second), hangs: chance.Float64() / 10,
		})
		w.later(a, chance, time.Minute, 20*time.Minute, func() { w.setAWSNetwork(calm(awsLatency)) })
	}},
	{"the network to AWS is bad", 4, func(w *World, a Action, chance *rand.Rand) {
		bad := calm(awsLatency)
		bad.lost = chance.Float64() / 2
		w.setAWSNetwork(bad)
		w.later(a, chance, time.Minute, 20*time.Minute, func() { w.setAWSNetwork(calm(awsLatency)) })
	}},
	{"the network to the API server is bad", 4, func(w *World, a Action, chance *rand.Rand) {
		w.setAPINetwork(conditions{most: between(chance, apiLatency, 3*time.Second), lost: chance.Float64() / 3})
		w.later(a, chance, time.Second, 10*time.Minute, func() { w.setAPINetwork(calm(apiLatency)) })
	}},
	{"the API server loses answers while watches are late", 3, func(w *World, a Action, chance *rand.Rand) {
		w.setAPINetwork(conditions{least: apiLatency / 5, most: apiLatency, lost: 0.2 + 0.5*chance.Float64()})
		w.watchDelay = between(chance, 10*time.Second, slowestWatch)
		w.edit(a.Slot, func(trail *v1alpha1.Trail) { vary(&trail.Spec, slotOf(a.Slot), w.shape, chance) })
		for range 4 {
			w.later(a, chance, 0, time.Minute, func() { w.ask(a.Slot) })
		}
		w.later(a, chance, time.Minute, 3*time.Minute, func() {
			w.setAPINetwork(calm(apiLatency))
			w.watchDelay = apiLatency
		})
	}},
	{"watches are late", 5, func(w *World, a Action, chance *rand.Rand) {
		w.watchDelay = between(chance, time.Second, slowestWatch)
		w.later(a, chance, time.Minute, 20*time.Minute, func() { w.watchDelay = apiLatency })
	}},
	{"watches end", 3, func(w *World, _ Action, chance *rand.Rand) {
		expire := chance.IntN(2) == 0
		if expire {
			w.api.Compact()
		}
		for _, watch := range w.api.Watches() {
			if expire {
				watch.Expire()
			} else {
				watch.End()
			}
		}
	}},
	{"clocks differ", 2, func(w *World, a Action, chance *rand.Rand) {
		w.skew = between(chance, -clocksDiffer, clocksDiffer)
		w.later(a, chance, time.Minute, time.Hour, func() { w.skew = 0 })
	}},
	{"the operator's own credentials lead to another account", 2, (*World).otherAccount},
	{"the operator's own credentials change while it creates a trail", 2, func(w *World, a Action, chance *rand.Rand) {
		s := slotOf(a.Slot - a.Slot%len(accounts)) // Of the account that is reached without a role.
		w.remove(s)
		w.later(a, chance, time.Minute, 5*time.Minute, func() {
			w.create(newTrail(s, w.shape, chance))
			w.traps = append(w.traps, &trap{about: s.arn(), after: true, do: func() { w.otherAccount(a, chance) }})
		})
	}},
	{"sessions are revoked", 2, func(w *World, a Action, _ *rand.Rand) {
		if role := identityOf(slotOf(a.Slot).account).Spec.RoleARN; role != "" {
			w.emulator.RevokeSessions(role)
		}
	}},
}

// ownKey is the access key of the operator, which belongs to the first account.
const ownKey = "test"

// lag makes what AWS shows lag behind for a while.
func (w *World) lag(a Action, chance *rand.Rand) {
	lag := between(chance, 0, 10*time.Second)
	w.emulatorLag = max(w.emulatorLag, lag)
	w.emulator.SetLags(cloudtrailtest.Lags{
		Read: lag / 4, ReadMax: lag, History: time.Minute, HistoryMax: between(chance, time.Minute, 14*time.Minute),
	})
	w.later(a, chance, time.Minute, 20*time.Minute, w.unlag)
}

// unlag makes AWS show all but the history at once.
func (w *World) unlag() {
	w.emulator.SetLags(cloudtrailtest.Lags{History: time.Minute, HistoryMax: 5 * time.Minute})
}

// otherAccount makes the operator's own credentials lead to another account for a while.
func (w *World) otherAccount(a Action, chance *rand.Rand) {
	w.ownAccount(accounts[1+chance.IntN(len(accounts)-1)])
	w.later(a, chance, time.Minute, 30*time.Minute, func() { w.ownAccount(accounts[0]) })
}

// ownAccount makes the operator's own credentials lead to an account.
func (w *World) ownAccount(account string) {
	w.moved = time.Now()
	for _, p := range w.alive {
		p.askedBefore = p.asked
	}
	w.emulator.AddCredentials(cloudtrailtest.Credentials{
		AccessKeyID: ownKey, SecretAccessKey: ownKey, ARN: "arn:aws:iam::" + account + ":user/operator",
	})
}

// clocksDiffer is by how much the clock of AWS may differ from that of the operator.
const clocksDiffer = 3 * time.Second

// fault makes a deed of what goes wrong with an operation, for a while.
func fault(kind func(*rand.Rand) cloudtrailtest.Fault) func(*World, Action, *rand.Rand) {
	return func(w *World, a Action, chance *rand.Rand) {
		f := kind(chance)
		f.Operation = operations[chance.IntN(len(operations))]
		if f.Operation != "AssumeRole" {
			f.AccountID = slotOf(a.Slot).accountID
		}
		w.inject(a, chance, 40*time.Minute, f)
	}
}

// inject lets something go wrong with an operation for a while.
func (w *World) inject(a Action, chance *rand.Rand, most time.Duration, f cloudtrailtest.Fault) {
	id := w.emulator.Inject(f)
	w.note("%s: %s", a.Do, f.Operation)
	w.later(a, chance, 10*time.Second, most, func() { w.emulator.ClearFault(id) })
}

// injectWrites lets something go wrong with all writes in the slot's account for a while.
func (w *World) injectWrites(a Action, chance *rand.Rand, most time.Duration, f cloudtrailtest.Fault) {
	f.AccountID = slotOf(a.Slot).accountID
	for _, f.Operation = range operations[:writeOperations] {
		w.inject(a, chance, most, f)
	}
}

// processDeeds are what happens to the operator's processes.
var processDeeds = []deed{
	{"operator crashes", 6, func(w *World, a Action, chance *rand.Rand) {
		w.onSome(chance, func(p *process) {
			w.crash(p)
			w.later(a, chance, 0, time.Minute, func() { w.start() })
		})
	}},
	{"operator crashes at a call", 4, func(w *World, a Action, chance *rand.Rand) {
		w.traps = append(w.traps, &trap{about: slotOf(a.Slot).arn(), after: chance.IntN(2) == 0, do: func() {
			w.onSome(chance, func(p *process) {
				w.crash(p)
				w.scheduler.after(between(chance, 0, time.Minute), func() { w.start() })
			})
		}})
	}},
	{"operator is rolled out", 2, (*World).rollOut},
	{"operator is rolled out while its writes fail", 2, func(w *World, a Action, chance *rand.Rand) {
		w.injectWrites(a, chance, time.Minute, cloudtrailtest.Fault{Code: "InternalFailure", Status: 500, Probability: 0.7})
		w.editAll(slotOf(a.Slot), chance)
		w.later(a, chance, time.Second, 10*time.Second, func() { w.rollOut(a, chance) })
	}},
	{"operator freezes", 4, func(w *World, a Action, chance *rand.Rand) {
		if !w.shape.LeaderElection {
			return // Nobody else is at work meanwhile: it is as if AWS were slow.
		}
		w.onSome(chance, func(p *process) {
			w.freeze(p)
			w.later(a, chance, time.Second, 2*time.Minute, p.thaw)
		})
	}},
	{"leader freezes right before it repairs", 4, func(w *World, a Action, chance *rand.Rand) {
		if !w.shape.LeaderElection {
			return
		}
		s := slotOf(a.Slot)
		w.act(intruders[chance.IntN(len(intruders))], s, call{"UpdateTrail", map[string]any{
			"Name": s.arn(), "S3KeyPrefix": "elsewhere",
		}})
		w.ask(a.Slot)
		// It tells of the drift, reads the object once more, and then nothing is left but the write.
		freeze := &trap{about: s.path(), after: true, do: func() { w.freezeLeader(a, chance) }}
		w.traps = append(w.traps, &trap{about: s.statusPath(), after: true, do: func() { w.traps = append(w.traps, freeze) }})
	}},
	{"leader freezes at a call while all are changed", 4, func(w *World, a Action, chance *rand.Rand) {
		if !w.shape.LeaderElection {
			return
		}
		w.editAll(slotOf(a.Slot), chance)
		w.traps = append(w.traps, &trap{
			about: anyCall, after: true, skip: chance.IntN(100), do: func() { w.freezeLeader(a, chance) },
		})
	}},
}

// freezeLeader lets the process that leads stand still until another one leads.
func (w *World) freezeLeader(a Action, chance *rand.Rand) {
	if p := w.leader; p != nil {
		w.freeze(p)
		w.later(a, chance, lease.Duration, 2*time.Minute, p.thaw)
	}
}

// rollOut replaces one of the processes: with leader election the new one is there before the old one ends.
func (w *World) rollOut(a Action, chance *rand.Rand) {
	w.onSome(chance, func(p *process) {
		if w.shape.LeaderElection {
			w.start()
			w.later(a, chance, time.Second, time.Minute, func() { w.terminate(p) })
			return
		}
		w.terminate(p)
		w.later(a, chance, shutdown, time.Minute+shutdown, func() { w.start() })
	})
}

// shutdown is how long the operator takes to end, at most.
const shutdown = 25 * time.Second

// onSome does something to one of the processes.
func (w *World) onSome(chance *rand.Rand, do func(*process)) {
	if len(w.alive) > 0 {
		do(w.alive[chance.IntN(len(w.alive))])
	}
}
