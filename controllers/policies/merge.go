package policies

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/trail-operator/trail-operator/controllers/cloudtrail"
)

// merge adds statements to those of a policy. What differs in the trail only becomes one statement for several trails,
// as AWS documents it. Nothing else is merged: a statement with two folders and two trails would let each trail write
// to the other's.
// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
func merge(policy, statements []cloudtrail.Statement) []cloudtrail.Statement {
	for _, statement := range statements {
		i := slices.IndexFunc(policy, func(s cloudtrail.Statement) bool {
			return reflect.DeepEqual(withoutTrails(s), withoutTrails(statement))
		})
		if i < 0 {
			policy = append(policy, statement)
			continue
		}
		for operator, keys := range statement.Condition {
			if known := policy[i].Condition[operator]; keys[cloudtrail.SourceARN] != nil {
				known[cloudtrail.SourceARN] = union(known[cloudtrail.SourceARN], keys[cloudtrail.SourceARN])
			}
		}
	}
	return policy
}

// withoutTrails returns a statement without the condition that says for which trails it is.
func withoutTrails(s cloudtrail.Statement) cloudtrail.Statement {
	conditions := cloudtrail.Conditions{}
	for operator, keys := range s.Condition {
		conditions[operator] = maps.Clone(keys)
		delete(conditions[operator], cloudtrail.SourceARN)
	}
	s.Condition = conditions
	return s
}

// union returns the values of both, sorted.
func union(a, b cloudtrail.Strings) cloudtrail.Strings {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// number gives statements that have the name of one before them a number.
func number(statements []cloudtrail.Statement) {
	count := map[string]int{}
	for i := range statements {
		name := statements[i].Sid
		count[name]++
		if count[name] > 1 {
			statements[i].Sid = fmt.Sprintf("%s%d", name, count[name])
		}
	}
}
