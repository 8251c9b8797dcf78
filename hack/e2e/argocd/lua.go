// Package argocd determines health and actions as Argo CD does with the Lua scripts of its users: it runs them without
// the open libraries, with table and a safe part of os.
package argocd

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

// Health is what a health script says.
type Health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// Action is what a discovery script says of an action.
type Action struct {
	Disabled bool `json:"disabled"`
}

// HealthOf returns the health of an object: that of a script, unless the object is being deleted. Then Argo CD asks no
// script (GetResourceHealth in its gitops-engine).
func HealthOf(script string, object map[string]any) (Health, error) {
	deleted, _, err := unstructured.NestedString(object, "metadata", "deletionTimestamp")
	if err != nil {
		return Health{}, err
	}
	if deleted != "" {
		return Health{Status: "Progressing", Message: "Pending deletion"}, nil
	}

	var health Health
	err = run(script, object, time.Time{}, &health)
	return health, err
}

// Discover runs a discovery script on an object.
func Discover(script string, object map[string]any) (map[string]Action, error) {
	actions := map[string]Action{}
	err := run(script, object, time.Time{}, &actions)
	return actions, err
}

// Act runs an action's script on an object at a time, and returns the object that it makes.
func Act(script string, object map[string]any, now time.Time) (map[string]any, error) {
	result := map[string]any{}
	err := run(script, object, now, &result)
	return result, err
}

// run runs a script with the object as obj, and decodes the table that it returns.
func run(script string, object map[string]any, now time.Time, into any) error {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()

	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
	} {
		if err := state.CallByParam(
			lua.P{Fn: state.NewFunction(library.open), Protect: true},
			lua.LString(library.name),
		); err != nil {
			return err
		}
	}

	state.PreloadModule("os", func(state *lua.LState) int {
		state.Push(state.SetFuncs(state.NewTable(), map[string]lua.LGFunction{
			"date": func(state *lua.LState) int {
				state.Push(lua.LString(now.UTC().Format(time.RFC3339)))
				return 1
			},
		}))
		return 1
	})

	plain, err := plainOf(object)
	if err != nil {
		return err
	}
	state.SetGlobal("obj", luajson.DecodeValue(state, plain))
	if err := state.DoString(script); err != nil {
		return err
	}

	returned, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return fmt.Errorf("the script returned a %s; want a table", state.Get(-1).Type())
	}
	text, err := luajson.Encode(returned)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// plainOf returns an object as JSON knows it: its numbers are floats.
func plainOf(object map[string]any) (map[string]any, error) {
	if object == nil {
		return nil, errors.New("no object")
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var plain map[string]any
	err = json.Unmarshal(text, &plain)
	return plain, err
}
