package compliance

// judgeMultiRegion: spec.isMultiRegionTrail, which defaults to false.
func judgeMultiRegion(s *subject) finding {
	return s.judgeSetting(setting{
		names: []string{"isMultiRegionTrail"}, asked: s.trail.Spec.MultiRegionDesired(), isRight: isTrue,
		right: "the trail records the events of all regions",
		wrong: "the trail records the events of its home region only: set spec.isMultiRegionTrail: true",
	})
}

// judgeGlobalServiceEvents: spec.includeGlobalServiceEvents, which defaults to true.
func judgeGlobalServiceEvents(s *subject) finding {
	return s.judgeSetting(setting{
		names: []string{"includeGlobalServiceEvents"}, asked: s.trail.Spec.GlobalServiceEventsDesired(), isRight: isTrue,
		right: "the trail records the events of global services",
		wrong: "the trail leaves out the events of global services, such as IAM: " +
			"remove spec.includeGlobalServiceEvents: false",
	})
}

// judgeKMS: spec.kmsKeyID. Which key it is, and whether it is rotated, only KMS can tell.
func judgeKMS(s *subject) finding {
	return s.judgeSetting(setting{
		names: []string{"kmsKeyID"}, asked: s.trail.Spec.KMSKeyID != "", isRight: isSet,
		right: "log files are encrypted with a KMS key",
		wrong: "log files are not encrypted with a KMS key: set spec.kmsKeyID",
	})
}

// judgeTags: spec.tags. The operator's owner tag does not count, although it is a tag in AWS.
func judgeTags(s *subject) finding {
	return s.judgeSetting(setting{
		names: []string{"tags"}, asked: len(s.trail.Spec.Tags) > 0, isRight: nil,
		right: "the trail is tagged",
		wrong: "the trail has no tags but the operator's own: set spec.tags",
	})
}
