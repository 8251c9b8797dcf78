package compliance

// The frameworks, with their versions, as References name them.
const (
	// FrameworkSecurityHub is AWS Security Hub CSPM:
	// https://docs.aws.amazon.com/securityhub/latest/userguide/cloudtrail-controls.html
	FrameworkSecurityHub = "AWS Security Hub"
	// FrameworkConfig is the managed rules of AWS Config:
	// https://docs.aws.amazon.com/config/latest/developerguide/managed-rules-by-aws-config.html
	FrameworkConfig = "AWS Config"
	// FrameworkCIS30, FrameworkCIS401 and FrameworkCIS50 are versions of the CIS Amazon Web Services Foundations
	// Benchmark:
	// https://www.cisecurity.org/benchmark/amazon_web_services
	FrameworkCIS30  = "CIS AWS Foundations Benchmark 3.0"
	FrameworkCIS401 = "CIS AWS Foundations Benchmark 4.0.1"
	FrameworkCIS50  = "CIS AWS Foundations Benchmark 5.0"
	// FrameworkPCI is the Payment Card Industry Data Security Standard.
	FrameworkPCI = "PCI DSS 4.0.1"
	// FrameworkNIST is Security and Privacy Controls for Information Systems and Organizations.
	FrameworkNIST = "NIST SP 800-53 r5"
)

// Frameworks returns the frameworks in the order in which the documentation has them.
func Frameworks() []string {
	return []string{
		FrameworkSecurityHub, FrameworkConfig, FrameworkCIS30, FrameworkCIS401, FrameworkCIS50, FrameworkPCI, FrameworkNIST,
	}
}

// securityHub returns references to controls of Security Hub.
func securityHub(ids ...string) []Reference { return in(FrameworkSecurityHub, ids...) }

// config returns references to rules of AWS Config.
func config(ids ...string) []Reference { return in(FrameworkConfig, ids...) }

// cis returns references to a recommendation that has the same number since version 3.0 of the benchmark.
func cis(id string) []Reference {
	return []Reference{{FrameworkCIS30, id}, {FrameworkCIS401, id}, {FrameworkCIS50, id}}
}

// pci returns references to requirements of PCI DSS.
func pci(ids ...string) []Reference { return in(FrameworkPCI, ids...) }

// nist returns references to controls of NIST SP 800-53.
func nist(ids ...string) []Reference { return in(FrameworkNIST, ids...) }

func in(framework string, ids ...string) []Reference {
	references := make([]Reference, 0, len(ids))
	for _, id := range ids {
		references = append(references, Reference{framework, id})
	}
	return references
}
