package simulation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Action is one thing that somebody does, or that goes wrong, at a time of the simulation.
type Action struct {
	// At is when, since the beginning.
	At time.Duration `json:"at"`
	// Do is what: a name in deeds.
	Do string `json:"do"`
	// Slot is whose Trail or trail it is about, where it is about one.
	Slot int `json:"slot"`
	// Number chooses the rest.
	Number uint64 `json:"number"`
}

// String returns the action as a line of a script.
func (a Action) String() string {
	return fmt.Sprintf("%s %s slot=%d number=%d", a.At, a.Do, a.Slot, a.Number)
}

// MarshalJSON implements json.Marshaler: a time is a text such as 1h2m3s.
func (a Action) MarshalJSON() ([]byte, error) {
	type plain Action
	return json.Marshal(struct {
		At string `json:"at"`
		plain
	}{a.At.String(), plain(a)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Action) UnmarshalJSON(data []byte) error {
	type plain Action
	read := struct {
		At string `json:"at"`
		*plain
	}{plain: (*plain)(a)}
	err := json.Unmarshal(data, &read)
	if err != nil {
		return err
	}
	a.At, err = time.ParseDuration(read.At)
	return err
}

// deed is a kind of action.
type deed struct {
	name string
	// weight is how often it is done, compared with others.
	weight int
	do     func(w *World, a Action, chance *rand.Rand)
}

// deeds are all kinds of actions.
var deeds = slices.Concat(tenantDeeds, adminDeeds, intruderDeeds, faultDeeds, eventDeeds, processDeeds)

// Script makes the script of a seed's world: each Trail is created, and then many things happen.
func Script(seed uint64, shape Shape) []Action {
	chance := chanceOf(seed, "script")
	var script []Action
	for number := range slotCount {
		if chance.IntN(10) > 0 {
			at := between(chance, 0, 2*time.Minute)
			script = append(script, Action{at, "tenant creates", number, chance.Uint64()})
		}
	}

	// Each world has its own troubles, which meet each other more often there, and Trails that attract them.
	weights, total := make([]float64, len(deeds)), 0.0
	for i, d := range deeds {
		weights[i] = float64(d.weight) * math.Pow(16, chance.Float64()-0.5)
		total += weights[i]
	}
	hot := chance.Perm(slotCount)[:3]
	var pace time.Duration
	long := time.Duration(shape.Slower) * time.Hour
	phase := time.Duration(-1)
	for at := 2 * time.Minute; at < shape.Disturbed; at += time.Duration(chance.ExpFloat64() * float64(pace)) {
		if at/long != phase { // Some hours are wild and others calm.
			phase, pace = at/long, time.Duration(float64(long)/60*math.Pow(120, chance.Float64()))
		}
		n, slot := chance.Float64()*total, chance.IntN(slotCount)
		if chance.IntN(2) == 0 {
			slot = hot[chance.IntN(len(hot))]
		}
		for i, d := range deeds {
			if n -= weights[i]; n < 0 {
				script = append(script, Action{at, d.name, slot, chance.Uint64()})
				break
			}
		}
	}
	slices.SortStableFunc(script, func(a, b Action) int { return cmp.Compare(a.At, b.At) })
	return script
}

// play plans the actions of a script.
func (w *World) play(script []Action) {
	named := map[string]deed{}
	for _, d := range deeds {
		named[d.name] = d
	}
	for _, a := range script {
		w.scheduler.at(w.scheduler.start.Add(a.At), func() {
			w.note("%s", a)
			named[a.Do].do(w, a, rand.New(rand.NewPCG(a.Number, 0)))
		})
	}
}
