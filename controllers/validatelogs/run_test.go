package validatelogs_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awscloudtrail "github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/controllers/command"
	"github.com/trail-operator/trail-operator/controllers/validatelogs"
	"github.com/trail-operator/trail-operator/hack/emulator/cloudtrailtest"
)

func TestAllIsValid(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 24, nil)
	a := w.validate(t.Context())
	g.Expect(a.messages).To(BeEmpty())
	g.Expect(a.exitCode).To(Equal(command.ExitSuccess))
	g.Expect(a.output).To(MatchRegexp(`^Validating log files for trail ` + w.trailARN +
		` between 2026-02-28T12:00:00Z and 2026-03-02T12:00:00Z

Results requested for 2026-02-28T12:00:00Z to 2026-03-02T12:00:00Z
Results found for 2026-03-01T11:\d\d:\d\dZ to 2026-03-02T11:\d\d:\d\dZ:

3 chains of digest files \(one for each account and region\)
72/72 digest files valid
144/144 log files valid \(144 read, \d+ kB\)
$`))
}

func TestVerbose(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 3, nil)
	a := w.validate(t.Context(), "--verbose", "--region="+home)
	g.Expect(a.exitCode).To(Equal(command.ExitSuccess))
	for _, key := range w.keys("CloudTrail-Digest/" + home) {
		g.Expect(a.output).To(ContainSubstring("Digest file\ts3://" + bucket + "/" + key + "\tvalid\n"))
	}
	for _, key := range w.keys("/CloudTrail/" + home) {
		g.Expect(a.output).To(ContainSubstring("Log file\ts3://" + bucket + "/" + key + "\tvalid\n"))
	}
	g.Expect(a.output).To(MatchRegexp(`Chain\t111122223333\teu-west-1\tfound \S+Z to \S+Z\n`))
	g.Expect(a.output).NotTo(ContainSubstring("us-east-1"))
}

// A change of one object is found, and named by class, account, region and object.
func TestFindings(t *testing.T) {
	packed := func(text string) []byte {
		var b bytes.Buffer
		writer := gzip.NewWriter(&b)
		writer.Write([]byte(text)) //nolint:errcheck // It goes to memory.
		writer.Close()             //nolint:errcheck // Likewise.
		return b.Bytes()
	}
	w := newWorld(t, 48, nil)
	digests, logs := "CloudTrail-Digest/"+home, "/CloudTrail/"+home
	for class, test := range map[string]struct {
		of       string
		nth      int
		arrange  func(w *world, o cloudtrailtest.Object) error
		exitCode int
		summary  string
	}{
		"Digest INVALID: DigestMissing": {
			of: digests, nth: 40, exitCode: 1, summary: "47/48 digest files valid, 1/48 digest files INVALID\n",
			arrange: func(w *world, o cloudtrailtest.Object) error {
				w.DeleteObject(o.Bucket, o.Key)
				return nil
			},
		},
		"Digest INVALID: DigestAltered": {
			of: digests, nth: 40, exitCode: 1, summary: "1/48 digest files INVALID\n",
			arrange: func(w *world, o cloudtrailtest.Object) error {
				o.Metadata = nil
				return w.PutObject(o)
			},
		},
		"Log INVALID: LogDeleted": {
			of: logs, nth: 9, exitCode: 1, summary: "95/96 log files valid, 1/96 log files INVALID (95 read, ",
			arrange: func(w *world, o cloudtrailtest.Object) error {
				w.DeleteObject(o.Bucket, o.Key)
				return nil
			},
		},
		"Log INVALID: LogAltered": {
			of: logs, nth: 9, exitCode: 1, summary: "1/96 log files INVALID",
			arrange: func(w *world, o cloudtrailtest.Object) error {
				o.Content = packed(`{"Records":[]}`)
				return w.PutObject(o)
			},
		},
		"Log INVALID: LogNotVouchedFor": {
			of: logs, nth: 9, exitCode: 1, summary: "96/97 log files valid, 1/97 log files INVALID",
			arrange: func(w *world, o cloudtrailtest.Object) error {
				o.Key = strings.Replace(o.Key, ".json.gz", "x.json.gz", 1)
				return w.PutObject(o)
			},
		},
		"Log NOT CHECKED: Archived": {
			of: logs, nth: 9, exitCode: 3, summary: "95/96 log files valid, 1/96 log files NOT CHECKED",
			arrange: func(w *world, o cloudtrailtest.Object) error {
				o.StorageClass = "GLACIER"
				return w.PutObject(o)
			},
		},
	} {
		t.Run(class, func(t *testing.T) {
			g := NewWithT(t)
			o, ok := w.Object(bucket, w.keys(test.of)[test.nth])
			g.Expect(ok).To(BeTrue())
			before := w.Objects(bucket, "")
			defer w.restore(g, before)
			g.Expect(test.arrange(w, o)).To(Succeed())
			a := w.validate(t.Context(), "--region="+home)
			g.Expect(a.exitCode).To(Equal(test.exitCode), a.output)
			kind, status, _ := strings.Cut(class, " ")
			g.Expect(a.output).To(MatchRegexp("\n%s file\ts3://%s/%s[^\t]*\t%s\t%s\t%s\t2026-0\\S*Z\t[^\n]+\n",
				kind, bucket, strings.TrimSuffix(o.Key, ".json.gz"), status, account, home))
			g.Expect(a.output).To(ContainSubstring(test.summary))
			g.Expect(strings.Count(a.output, " file\ts3://")).To(Equal(1), a.output)
			if test.exitCode == validatelogs.ExitFindings {
				g.Expect(a.messages).To(Equal("test: 1 findings: not all is as CloudTrail has delivered it\n"))
			} else {
				g.Expect(a.output).To(ContainSubstring("\n1 could not be checked\n"))
				g.Expect(a.messages).To(Equal("test: nothing is wrong with what was checked, but 1 could not be checked\n"))
			}
		})
	}
}

// No digest tells of the newest ones that are gone, but CloudTrail does, to the trail's own account.
func TestTheNewestDigestsAreDeleted(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 12, nil)
	keys := w.keys("CloudTrail-Digest/us-east-1")
	for _, key := range keys[len(keys)-2:] {
		w.DeleteObject(bucket, key)
	}
	a := w.validate(t.Context())
	g.Expect(a.exitCode).To(Equal(1), a.output)
	g.Expect(strings.Count(a.output, "INVALID: DigestMissing\t"+account+"\tus-east-1")).To(Equal(2), a.output)

	a = w.validate(t.Context(), "--s3-bucket="+bucket, "--s3-prefix=p")
	g.Expect(a.exitCode).To(Equal(command.ExitSuccess), "CloudTrail may deliver elsewhere by now: %s", a.output)

	w.Inject(cloudtrailtest.Fault{Operation: "GetTrailStatus", Code: "AccessDeniedException", Times: 100})
	a = w.validate(t.Context())
	g.Expect(a.output).
		To(ContainSubstring("Note: CloudTrail does not say when it has delivered the newest digest of us-east-1"))
	g.Expect(a.exitCode).To(Equal(command.ExitSuccess), "nothing is overdue yet: %s", a.output)
}

func TestAllDigestsAreDeleted(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 12, nil)
	for _, key := range w.keys("CloudTrail-Digest") {
		w.DeleteObject(bucket, key)
	}
	a := w.validate(t.Context())
	g.Expect(a.exitCode).To(Equal(1), a.output)
	g.Expect(a.output).To(ContainSubstring("INVALID: DigestMissing\t" + account + "\t" + home))
}

// What could not be read at all is no finding, and never silent.
func TestWhatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct {
		arrange   func(w *world)
		arguments []string
		says      string
	}{
		"no such bucket": {
			arguments: []string{"--s3-bucket=gone", "--s3-prefix=p"},
			arrange:   func(w *world) { w.DeleteBucket("gone") },
			says:      "NoSuchBucket",
		},
		"no access to the bucket": {
			arrange: func(w *world) {
				w.PutBucket(cloudtrailtest.Bucket{Name: bucket, AccountID: "999999999999"})
			},
			says: `add to the policies of`,
		},
		"no access to log files": {
			arrange: func(w *world) {
				w.handler = refusing(w, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/CloudTrail/") })
			},
			says: "72 could not be checked",
		},
		"no digests there": {
			arguments: []string{"--s3-bucket=" + bucket, "--s3-prefix=other"}, arrange: func(*world) {},
			says: "there is no digest file of the trail in s3://" + bucket + "/other",
		},
		"no digests then": {
			arguments: []string{"--start-time=2026-01-01", "--end-time=2026-01-02"}, arrange: func(*world) {},
			says: "No digests found",
		},
		"no trail": {
			arguments: []string{"--trail-arn=arn:aws:cloudtrail:eu-west-1:111122223333:trail/other"},
			arrange:   func(*world) {}, says: "give --s3-bucket and --s3-prefix",
		},
		"no credentials": {
			arrange: func(w *world) {
				w.handler = http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
					out.WriteHeader(http.StatusForbidden)
				})
			},
			says: "GetCallerIdentity",
		},
		"a region that is not enabled": {
			arrange: func(w *world) { w.DisableRegions("", "ap-south-1") },
			says:    "enable the region ap-south-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t, 12, nil)
			test.arrange(w)
			a := w.validate(t.Context(), test.arguments...)
			g.Expect(a.exitCode).To(Equal(validatelogs.ExitUnchecked), a.output)
			g.Expect(a.output + a.messages).To(ContainSubstring(test.says))
			g.Expect(a.output).NotTo(ContainSubstring("INVALID"))
		})
	}
}

// refusing lets S3 refuse calls.
func refusing(w *world, refuse func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if refuse(r) {
			out.WriteHeader(http.StatusForbidden)
			fmt.Fprint(out, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
			return
		}
		w.ServeHTTP(out, r)
	})
}

// Where many things cannot be checked for the same reason, some are shown and all are counted.
func TestManyThatCannotBeRead(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 24, nil)
	w.handler = refusing(w, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/CloudTrail/us-east-1/") })
	a := w.validate(t.Context())
	g.Expect(strings.Count(a.output, "\tNOT CHECKED: AccessDenied\t")).To(Equal(10), a.output)
	g.Expect(a.output).To(And(
		ContainSubstring("Note: 38 more of account 111122223333, region us-east-1 could not be checked: AccessDenied\n"),
		ContainSubstring("\n72/72 digest files valid\n96/144 log files valid, 48/144 log files NOT CHECKED"),
		ContainSubstring("\n48 could not be checked\n"),
	))
	g.Expect(strings.Count(w.validate(t.Context(), "--verbose").output, "\tNOT CHECKED: AccessDenied\t")).To(Equal(48))
}

// What passes by itself is tried again, and then it is as if nothing had happened.
func TestTroubleThatPasses(t *testing.T) {
	for _, operation := range []string{"GetObject", "ListObjectsV2", "ListPublicKeys"} {
		t.Run(operation, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t, 12, nil)
			whole := w.validate(t.Context(), "--region="+home)
			code := "SlowDown"
			if operation == "ListPublicKeys" {
				code = "ThrottlingException"
			}
			w.Inject(cloudtrailtest.Fault{Operation: operation, Code: code, Times: 2})
			g.Expect(w.validate(t.Context(), "--region="+home)).To(Equal(whole))
		})
	}
}

func TestTroubleThatStays(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 12, nil)
	w.Inject(cloudtrailtest.Fault{Operation: "GetObject", Code: "SlowDown", Times: 1 << 20})
	a := w.validate(t.Context(), "--region="+home)
	g.Expect(a.exitCode).To(Equal(validatelogs.ExitUnchecked))
	g.Expect(a.output).To(ContainSubstring(
		"NOT CHECKED: account 111122223333, region eu-west-1: not checked any further"))
}

func TestBucketsOfAnotherRegion(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 6, nil)
	w.PutBucket(cloudtrailtest.Bucket{Name: bucket, Region: "us-west-2"})
	a := w.validate(t.Context())
	g.Expect(a.exitCode).To(Equal(command.ExitSuccess), a.output)
	g.Expect(a.output).To(ContainSubstring("\n18/18 digest files valid\n"))
}

// Whoever may not ask CloudTrail names the bucket, also for an organization's trail.
func TestTheBucketIsGiven(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 6, nil)
	w.Inject(cloudtrailtest.Fault{Operation: "DescribeTrails", Code: "AccessDeniedException", Times: 100})
	a := w.validate(t.Context(), "--s3-bucket="+bucket, "--s3-prefix=p/")
	g.Expect(a.exitCode).To(Equal(command.ExitSuccess), a.output)
	g.Expect(a.output).To(ContainSubstring("\n18/18 digest files valid\n"))
}

func TestOrganizations(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 6, func(in *awscloudtrail.CreateTrailInput) { in.IsOrganizationTrail = aws.Bool(true) })
	for arguments, digests := range map[string]int{
		"":                                     36,
		"--s3-bucket=audit-logs --s3-prefix=p": 36,
		"--account-id=444455556666":            18,
		"--region=ap-south-1":                  12,
		"--account-id=" + account + " --region=" + home: 6,
	} {
		a := w.validate(t.Context(), strings.Fields(arguments)...)
		g.Expect(a.exitCode).To(Equal(command.ExitSuccess), a.output)
		g.Expect(a.output).To(ContainSubstring("\n%d/%d digest files valid\n", digests, digests), arguments)
	}
	a := w.validate(t.Context(), "--account-id=777788889999")
	g.Expect(a.exitCode).To(Equal(validatelogs.ExitUnchecked))
}

// Each chain is in one shard, whatever the number of shards.
func TestShards(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 3, func(in *awscloudtrail.CreateTrailInput) { in.IsOrganizationTrail = aws.Bool(true) })
	for _, count := range []int{1, 2, 7} {
		var chains []string
		for index := range count {
			a := w.validate(t.Context(), fmt.Sprintf("--shard=%d/%d", index, count), "--output=json", "--mode=Digests")
			g.Expect(a.exitCode).To(Equal(command.ExitSuccess), a.output)
			for _, l := range lines(g, a.output) {
				if l["type"] == "chain" {
					chains = append(chains, fmt.Sprint(l["accountID"], " ", l["region"]))
				}
			}
		}
		slices.Sort(chains)
		g.Expect(chains).To(Equal([]string{
			"111122223333 ap-south-1", "111122223333 eu-west-1", "111122223333 us-east-1",
			"444455556666 ap-south-1", "444455556666 eu-west-1", "444455556666 us-east-1",
		}), "%d shards", count)
	}
}

func TestModes(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 24, nil)
	for arguments, summary := range map[string]string{
		"--mode=Digests":                     "\nno log files looked at (--mode Digests)\n",
		"--mode=existence":                   "\n144/144 log files valid (0 read, 0 B)\n",
		"--mode=Sample --sample-percent=100": "\n144/144 log files valid (144 read, ",
		"--mode=Sample":                      "\n144/144 log files valid (",
	} {
		a := w.validate(t.Context(), strings.Fields(arguments)...)
		g.Expect(a.exitCode).To(Equal(command.ExitSuccess), a.output)
		g.Expect(a.output).To(ContainSubstring(summary))
	}
}

// A program reads these lines, so they stay as they are.
func TestJSON(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 48, nil)
	key := w.keys("/CloudTrail/" + home)[3]
	w.DeleteObject(bucket, key)
	planted, ok := w.Object(bucket, w.keys("/CloudTrail/" + home)[0])
	g.Expect(ok).To(BeTrue())
	planted.Key = strings.TrimSuffix(planted.Key, ".json.gz") + "\u009b2J\u202e\U000e0001.json.gz"
	g.Expect(w.PutObject(planted)).To(Succeed())

	a := w.validate(t.Context(), "--output=json", "--region="+home)
	g.Expect(a.exitCode).To(Equal(validatelogs.ExitFindings))
	g.Expect(a.output).NotTo(ContainSubstring("\u009b"))
	all := lines(g, a.output)
	g.Expect(all).To(HaveLen(5), a.output)
	g.Expect(all[0]).To(Equal(map[string]any{
		"type": "start", "trailARN": w.trailARN, "bucket": bucket, "prefix": "p", "mode": "Full",
		"startTime": "2026-02-28T12:00:00Z", "endTime": "2026-03-02T12:00:00Z",
	}))
	findings := map[any]map[string]any{all[1]["class"]: all[1], all[2]["class"]: all[2]}
	deleted := findings["LogDeleted"]
	for _, varying := range []string{"startTime", "endTime", "time", "message"} {
		g.Expect(deleted).To(HaveKeyWithValue(varying, Not(BeEmpty())))
		delete(deleted, varying)
	}
	g.Expect(deleted).To(Equal(map[string]any{
		"type": "result", "kind": "Log", "status": "invalid", "class": "LogDeleted",
		"accountID": account, "region": home, "bucket": bucket, "object": key,
	}))
	g.Expect(findings["LogNotVouchedFor"]).To(HaveKeyWithValue("object", planted.Key), "it can be read back")

	counts := map[string]any{
		"digests":         map[string]any{"valid": 48.0, "invalid": 0.0, "unchecked": 0.0},
		"backfillDigests": map[string]any{"valid": 0.0, "invalid": 0.0, "unchecked": 0.0},
		"logFiles":        map[string]any{"valid": 95.0, "invalid": 2.0, "unchecked": 0.0},
		"logFilesRead":    95.0, "gaps": 0.0,
		"findings": map[string]any{"LogDeleted": 1.0, "LogNotVouchedFor": 1.0},
	}
	chain, summary := all[3], all[4]
	for _, l := range []map[string]any{chain, summary} {
		for _, varying := range []string{"foundStartTime", "foundEndTime", "bytesRead"} {
			g.Expect(l).To(HaveKey(varying))
			delete(l, varying)
		}
		for name, value := range counts {
			g.Expect(l).To(HaveKeyWithValue(name, value))
			delete(l, name)
		}
	}
	g.Expect(chain).To(Equal(map[string]any{"type": "chain", "accountID": account, "region": home}))
	g.Expect(summary).To(Equal(map[string]any{
		"type": "summary", "trailARN": w.trailARN, "chains": 1.0, "errors": 0.0, "exitCode": 1.0,
		"startTime": "2026-02-28T12:00:00Z", "endTime": "2026-03-02T12:00:00Z",
	}))
}

// lines are the objects of an output in JSON.
func lines(g Gomega, output string) []map[string]any {
	var all []map[string]any
	for text := range strings.Lines(output) {
		var l map[string]any
		g.Expect(json.Unmarshal([]byte(text), &l)).To(Succeed(), text)
		all = append(all, l)
	}
	return all
}

// A gap is no finding: the trail did not log.
func TestGaps(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 6, nil)
	w.act(t, func(ctx context.Context, client *awscloudtrail.Client) error {
		_, err := client.StopLogging(ctx, &awscloudtrail.StopLoggingInput{Name: &w.trailARN})
		return err
	})
	w.now = w.now.Add(5 * time.Hour)
	w.act(t, func(ctx context.Context, client *awscloudtrail.Client) error {
		_, err := client.StartLogging(ctx, &awscloudtrail.StartLoggingInput{Name: &w.trailARN})
		return err
	})
	w.now = w.now.Add(3 * time.Hour)
	a := w.validate(t.Context(), "--region="+home)
	g.Expect(a.exitCode).To(Equal(command.ExitSuccess), a.output)
	g.Expect(a.output).To(MatchRegexp(
		`\nNo log files were delivered by CloudTrail between \S+ and \S+\t111122223333\teu-west-1\n`))
}

func TestARunThatIsInterrupted(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, 12, nil)
	ctx, cancel := context.WithCancel(t.Context())
	w.handler = refusing(w, func(r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/CloudTrail/") {
			cancel()
		}
		return false
	})
	a := w.validate(ctx)
	g.Expect(a.exitCode).To(Equal(validatelogs.ExitUnchecked))
	g.Expect(a.output).To(ContainSubstring("NOT CHECKED: interrupted: only a part was checked\n"))
}

func TestMistakes(t *testing.T) {
	trail := "--trail-arn=arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit "
	for arguments, message := range map[string]string{
		"":                  "--trail-arn is required",
		"--trail-arn=audit": `--trail-arn "audit" is not the ARN of a trail`,
		"--trail-arn=arn:aws:cloudtrail:eu-west-1:111122223333:channel/x": "is not the ARN of a trail",
		trail:                            "--start-time is required",
		trail + "--start-time=yesterday": "not a time such as 2026-01-08T05:21:42Z",
		trail + "--start-time=2026-01-02 --end-time=2026-01-01":              "--start-time must be before --end-time",
		trail + "--start-time=2026-01-02 --account-id=1":                     `--account-id "1" is not the ID of an account`,
		trail + "--start-time=2026-01-02 --mode=All":                         "not one of Digests, Existence, Sample, Full",
		trail + "--start-time=2026-01-02 --sample-percent=5":                 "--sample-percent is for --mode Sample",
		trail + "--start-time=2026-01-02 --mode=Sample --sample-percent=101": "--sample-percent must be between 1 and 100",
		trail + "--start-time=2026-01-02 --output=yaml":                      "neither text nor json",
		trail + "--start-time=2026-01-02 --shard=16/16":                      "not a part such as 0/16",
		trail + "--start-time=2026-01-02 --shard=1":                          "not a part such as 0/16",
		trail + "--start-time=2026-01-02 --shard=-1/2":                       "not a part such as 0/16",
		trail + "--start-time=2026-01-02 --concurrency=0":                    "--concurrency must be at least 1",
		trail + "--start-time=2026-01-02 --external-id=x":                    "--external-id is for --identity-role",
	} {
		t.Run(arguments, func(t *testing.T) {
			g := NewWithT(t)
			a := (&world{Server: cloudtrailtest.New(cloudtrailtest.Options{})}).run(t.Context(), strings.Fields(arguments)...)
			g.Expect(a.messages).To(ContainSubstring(message))
			g.Expect(a.exitCode).To(Equal(command.ExitUsage))
			g.Expect(a.output).To(BeEmpty())
		})
	}
}
