package cloudtrail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	. "github.com/onsi/gomega"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// changingCredentials are credentials from outside, such as a file or a token, which may change or be out of reach.
type changingCredentials struct {
	mu    sync.Mutex
	key   string
	err   error
	asked int
}

// Retrieve implements aws.CredentialsProvider.
func (c *changingCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return aws.Credentials{
		AccessKeyID:     c.key,
		SecretAccessKey: "secret",
		CanExpire:       true,
		Expires:         time.Now().Add(10 * time.Minute),
	}, c.err
}

func (c *changingCredentials) set(key string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key, c.err = key, err
}

// ownCache makes credentials the operator's own, as the SDK's configuration has them.
func ownCache(source aws.CredentialsProvider) func(*Options) {
	return func(o *Options) { o.Config.Credentials = aws.NewCredentialsCache(source) }
}

// roleIdentity is an identity with a role.
func roleIdentity() *v1alpha1.AWSIdentity {
	return testIdentity(func(identity *v1alpha1.AWSIdentity) {
		identity.Spec.RoleARN = "arn:aws:iam::111122223333:role/r"
	})
}

// statusOf makes a call by an identity.
func callBy(t *testing.T, sessions *Sessions, identity *v1alpha1.AWSIdentity) error {
	t.Helper()
	session, err := sessions.Open(t.Context(), identity)
	if err != nil {
		return err
	}
	_, err = session.Region(testRegion).Status(t.Context(), "arn")
	return err
}

// together does something many times at once, and returns the errors.
func together(n int, do func() error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = do() })
	}
	all.Wait()
	return errs
}

// TestOneOpenForMany holds that objects that share an identity wait for one call, and none of their workers for longer
// than a moment.
func TestOneOpenForMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := newMemorySTS()
		server.hold = make(chan struct{})
		sessions := memorySessions(server, nil)
		time.AfterFunc(20*time.Second, func() { close(server.hold) })
		var held time.Duration
		var mu sync.Mutex
		errs := together(300, func() error {
			d := newDriver(t, sessions, "team", "audit")
			err := d.reconcile(func(ctx context.Context) error {
				_, err := sessions.Open(ctx, testIdentity(nil))
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			held = max(held, d.held)
			return err
		})
		g.Expect(errors.Join(errs...)).NotTo(HaveOccurred())
		g.Expect(held).To(BeNumerically("<=", maxWait))
		g.Expect(server.made(getCallerIdentity)).To(HaveLen(1))
	})
}

// TestRefusedRolesAreAskedForOnce holds that a role that STS refuses is asked for once for all, and ever more rarely.
func TestRefusedRolesAreAskedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := newMemorySTS()
		server.code = "AccessDenied"
		sessions, identity := memorySessions(server, nil), roleIdentity()
		open := func() error {
			_, err := sessions.Open(t.Context(), identity)
			return err
		}
		tries := 1
		for wait := firstReopen; wait < lastReopen; wait *= 2 {
			for range 3 {
				for _, err := range together(100, open) {
					g.Expect(Is(err, Permission)).To(BeTrue(), "%v", err)
				}
			}
			g.Expect(server.made("AssumeRole")).To(HaveLen(tries))
			pass(wait)
			tries++
		}
		for range 10 {
			together(10, open)
			g.Expect(server.made("AssumeRole")).To(HaveLen(tries))
			pass(lastReopen)
			tries++
		}

		g.Expect(open()).NotTo(Succeed())
		server.set(func() { server.code = "" })
		g.Expect(open()).NotTo(Succeed())
		_, err := sessions.Check(t.Context(), identity, false)
		g.Expect(err).NotTo(HaveOccurred(), "who checks the identity does not wait for that")
		g.Expect(open()).To(Succeed())
	})
}

// TestLostRolesAreAskedForOnce holds the same for a role that is withdrawn while it is in use.
func TestLostRolesAreAskedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := newMemorySTS()
		server.lifetime = credentialsExpiry / 2 // They are got anew for each call.
		server.slow = map[string]time.Duration{"AssumeRole": 50 * time.Millisecond}
		sessions, identity := memorySessions(server, nil), roleIdentity()
		call := func() error { return callBy(t, sessions, identity) }
		g.Expect(call()).To(Succeed())
		server.set(func() { server.code, server.calls = "AccessDenied", nil })
		tries := 1
		for wait := firstReopen; wait < lastReopen; wait *= 2 {
			for range 2 {
				for _, err := range together(100, call) {
					g.Expect(Is(err, Permission)).To(BeTrue(), "%v", err)
					g.Expect(err).To(MatchError(ContainSubstring("AccessDenied")))
				}
			}
			g.Expect(server.made("AssumeRole")).To(HaveLen(tries))
			g.Expect(server.made("GetTrailStatus")).To(BeEmpty())
			pass(wait)
			tries++
		}
		server.set(func() { server.code = "" })
		g.Expect(errors.Join(together(100, call)...)).NotTo(HaveOccurred(), "it heals by itself")
		server.set(func() { server.code = "AccessDenied" })
		g.Expect(call()).NotTo(Succeed())
		pass(firstReopen)
		server.set(func() { server.code = "" })
		g.Expect(call()).To(Succeed(), "the next trouble is looked into as quickly as the first")
	})
}

// TestRejectedCredentials holds that credentials that AWS rejects before their time are renewed, once for all calls.
func TestRejectedCredentials(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException",
		"AccessDenied", "AccessDeniedException",
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server := newMemorySTS()
				sessions, identity := memorySessions(server, nil), roleIdentity()
				call := func() error { return callBy(t, sessions, identity) }
				g.Expect(call()).To(Succeed())
				pass(firstRenewal)

				server.set(func() {
					server.reject = func(call stsCall) string {
						if call.AccessKey == roleKey(1) {
							return code
						}
						return ""
					}
					server.hold = make(chan struct{})
				})
				time.AfterFunc(time.Second, func() { close(server.hold) })
				g.Expect(errors.Join(together(50, call)...)).NotTo(HaveOccurred(), "nobody notices")
				g.Expect(server.made("AssumeRole")).To(HaveLen(2))
				g.Expect(server.made("GetTrailStatus")).To(HaveLen(1 + 2*50))
				g.Expect(call()).To(Succeed())
				g.Expect(server.made("GetTrailStatus")).To(HaveLen(1+2*50+1), "from then on with the new ones")
			})
		})
	}
}

// TestRenewalTakesItsTime holds that calls that AWS rejects while new credentials are on their way wait for them.
func TestRenewalTakesItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := newMemorySTS()
		sessions, identity := memorySessions(server, nil), roleIdentity()
		g.Expect(callBy(t, sessions, identity)).To(Succeed())
		pass(firstRenewal)
		server.set(func() {
			server.reject = func(call stsCall) string {
				if call.AccessKey == roleKey(1) {
					return "ExpiredToken"
				}
				return ""
			}
			server.slow = map[string]time.Duration{"AssumeRole": 3 * time.Second, "GetTrailStatus": 100 * time.Millisecond}
		})
		errs := make(chan error, 100)
		for range cap(errs) { // The later ones find the renewal under way.
			go func() { errs <- callBy(t, sessions, identity) }()
			pass(20 * time.Millisecond)
		}
		for range cap(errs) {
			g.Expect(<-errs).NotTo(HaveOccurred())
		}
		g.Expect(server.made("AssumeRole")).To(HaveLen(2))
	})
}

// TestRenewalsThatDoNotHelp holds that a missing permission, which looks like a role that was created anew, costs
// little.
func TestRenewalsThatDoNotHelp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identity *v1alpha1.AWSIdentity
		edit     func(*Options)
		renewals func(*fakeSTS) int
	}{
		"of a role": {roleIdentity(), nil, func(f *fakeSTS) int { return len(f.made("AssumeRole")) - 1 }},
		"of the operator's own credentials": {
			testIdentity(nil), ownCache(&changingCredentials{key: "AKIAOWN"}),
			func(f *fakeSTS) int { return len(f.made("GetTrailStatus")) - 1 - 3600 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server := newMemorySTS()
				server.lifetime = 24 * time.Hour
				sessions := memorySessions(server, c.edit)
				g.Expect(callBy(t, sessions, c.identity)).To(Succeed())
				server.set(func() {
					server.reject = func(call stsCall) string {
						if call.action == "GetTrailStatus" {
							return "AccessDeniedException"
						}
						return ""
					}
				})
				for range 3600 {
					g.Expect(Is(callBy(t, sessions, c.identity), Permission)).To(BeTrue())
					pass(time.Second)
				}
				g.Expect(c.renewals(server)).
					To(And(BeNumerically(">=", 5), BeNumerically("<=", 12)), "10 s, 20 s, and so on up to 10 minutes")

				server.set(func() { server.reject = nil })
				g.Expect(callBy(t, sessions, c.identity)).To(Succeed())
			})
		})
	}
}

// TestRenewalsThatHelp holds that the pace of renewals is that of the first one again when new credentials have helped.
func TestRenewalsThatHelp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := newMemorySTS()
		sessions, identity := memorySessions(server, nil), roleIdentity()
		g.Expect(callBy(t, sessions, identity)).To(Succeed())
		for n := 1; n <= 10; n++ {
			pass(firstRenewal)
			server.set(func() {
				server.reject = func(call stsCall) string {
					if call.AccessKey == roleKey(n) {
						return "ExpiredToken"
					}
					return ""
				}
			})
			g.Expect(callBy(t, sessions, identity)).To(Succeed(), "%d", n)
		}
	})
}

// TestCredentialsThatNobodyRenews holds that a refusal counts where there are no new credentials to be had.
func TestCredentialsThatNobodyRenews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := newMemorySTS()
		sessions := memorySessions(server, nil)
		g.Expect(callBy(t, sessions, testIdentity(nil))).To(Succeed())
		pass(time.Hour)
		server.set(func() { server.reject = func(stsCall) string { return "AccessDeniedException" } })
		g.Expect(Is(callBy(t, sessions, testIdentity(nil)), Permission)).To(BeTrue())
		g.Expect(server.made("GetTrailStatus")).To(HaveLen(2))
	})
}

// TestOwnCredentialsThatChange holds that the operator's own credentials are used for no other account than the one
// that they led to.
func TestOwnCredentialsThatChange(t *testing.T) {
	t.Parallel()
	const other = "444455556666"
	for name, c := range map[string]struct {
		account string
		verify  string // The error code of GetCallerIdentity, "" for none.
		works   bool
		code    string
	}{
		"to the same account":  {testAccount, "", true, ""},
		"to another account":   {other, "", false, "AccountChanged"},
		"to what nobody knows": {testAccount, "InvalidClientTokenId", false, "InvalidClientTokenId"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server, source := newMemorySTS(), &changingCredentials{key: "AKIAFIRST"}
				sessions, identity := memorySessions(server, ownCache(source)), testIdentity(nil)
				g.Expect(callBy(t, sessions, identity)).To(Succeed())
				session, err := sessions.Open(t.Context(), identity)
				g.Expect(err).NotTo(HaveOccurred())
				region := session.Region(testRegion)

				source.set("AKIASECOND", nil)
				server.set(func() { server.account, server.code = c.account, c.verify })
				pass(time.Hour) // The first ones have expired.
				_, err = region.Status(t.Context(), "arn")
				if c.works {
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(server.made("GetTrailStatus")).To(HaveLen(2))
					g.Expect(server.made(getCallerIdentity)).To(HaveLen(2))
					same, err := sessions.Open(t.Context(), identity)
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(same).To(BeIdenticalTo(session))
					return
				}
				known, _ := errors.AsType[*Error](err)
				g.Expect(known).To(HaveOccurred(), "%v", err)
				g.Expect(known.Code).To(Equal(c.code))
				g.Expect(server.made("GetTrailStatus")).To(HaveLen(1), "no call is made by them")
				for range 100 {
					_, err = region.Status(t.Context(), "arn")
					g.Expect(err).To(MatchError(known.Error()))
				}
				g.Expect(server.made(getCallerIdentity)).To(HaveLen(2), "AWS is asked once for all")
				if c.account == testAccount {
					return
				}
				next, err := sessions.Open(t.Context(), identity)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(next.AccountID).To(Equal(other), "the session is dropped")
				g.Expect(callBy(t, sessions, identity)).To(Succeed())
				g.Expect(server.made("GetTrailStatus")).To(HaveLen(2))
			})
		})
	}
}

// confirming returns a region of an identity with the operator's own credentials, and the STS that tells whose they
// are.
func confirming(t *testing.T) (g Gomega, server *fakeSTS, sessions *Sessions, region *Region) {
	t.Helper()
	g, server = NewWithT(t), newMemorySTS()
	sessions = memorySessions(server, nil)
	session, err := sessions.Open(t.Context(), testIdentity(nil))
	g.Expect(err).NotTo(HaveOccurred())
	return g, server, sessions, session.Region(testRegion)
}

// TestConfirmAccount asks AWS right before what cannot be undone.
func TestConfirmAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, server, sessions, region := confirming(t)
		g.Expect(region.ConfirmAccount(t.Context())).To(Succeed())
		server.set(func() { server.account = "444455556666" })
		err := region.ConfirmAccount(t.Context())
		g.Expect(Is(err, Transient)).To(BeTrue())
		g.Expect(err).To(MatchError("GetCallerIdentity: AccountChanged: " +
			"the credentials belong to account 444455556666, and no longer to account 111122223333"))
		next, err := sessions.Open(t.Context(), testIdentity(nil))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(next.AccountID).To(Equal("444455556666"), "the session is dropped")
	})
}

// TestConfirmAccountAgain holds that a reconcile that had to wait asks again whose the credentials are.
func TestConfirmAccountAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, server, sessions, region := confirming(t)
		d := newDriver(t, sessions, "team", "audit")
		g.Expect(d.run(region.ConfirmAccount)).To(Succeed())
		g.Expect(d.run(region.ConfirmAccount)).To(Succeed())
		g.Expect(server.made(getCallerIdentity)).To(HaveLen(2), "it is known from a moment ago")
		server.set(func() { server.account = "444455556666" })
		pass(guardHolds + 1)
		g.Expect(d.reconcile(region.ConfirmAccount)).To(MatchError(ContainSubstring("AccountChanged")))
	})
}

// TestConfirmAccountSlowly holds that an answer that takes long is one.
func TestConfirmAccountSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, server, sessions, region := confirming(t)
		server.set(func() { server.slow = map[string]time.Duration{getCallerIdentity: 3 * guardHolds} })
		d := newDriver(t, sessions, "team", "audit")
		g.Expect(d.reconcile(region.ConfirmAccount)).To(Succeed())
		g.Expect(server.made(getCallerIdentity)).To(HaveLen(2), "it is asked once, after the session was opened")
	})
}

// TestCheckKeepsWhatWorks holds that a check that gets no new credentials takes nobody those that work.
func TestCheckKeepsWhatWorks(t *testing.T) {
	t.Parallel()
	source := &changingCredentials{key: "AKIAOWN"}
	for name, c := range map[string]struct {
		identity *v1alpha1.AWSIdentity
		edit     func(*Options)
		breaks   func(*fakeSTS)
		mends    func(*fakeSTS)
	}{
		"a role that cannot be assumed": {
			roleIdentity(), nil,
			func(f *fakeSTS) { f.code = "AccessDenied" },
			func(f *fakeSTS) { f.code = "" },
		},
		"own credentials whose source is out of reach": {
			testIdentity(nil), ownCache(source),
			func(*fakeSTS) { source.set("", errors.New("out of reach")) },
			func(*fakeSTS) { source.set("AKIAOWN", nil) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				server := newMemorySTS()
				sessions := memorySessions(server, c.edit)
				check := func() error {
					_, err := sessions.Check(t.Context(), c.identity, true)
					return err
				}
				g.Expect(check()).To(Succeed())
				g.Expect(callBy(t, sessions, c.identity)).To(Succeed())
				server.set(func() { c.breaks(server) })
				for range 3 {
					g.Expect(check()).NotTo(Succeed())
					g.Expect(callBy(t, sessions, c.identity)).To(Succeed(), "they may be good for a while")
					pass(2 * time.Second) // The source is asked again, in vain.
					g.Expect(callBy(t, sessions, c.identity)).To(Succeed())
					pass(time.Minute)
				}
				server.set(func() { c.mends(server) })
				g.Expect(check()).To(Succeed())
				g.Expect(callBy(t, sessions, c.identity)).To(Succeed())
			})
		})
	}
}

// TestOwnCredentialsEnd holds that credentials that have expired are not used, even if there are no others.
func TestOwnCredentialsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server, source := newMemorySTS(), &changingCredentials{key: "AKIAOWN"}
		sessions, identity := memorySessions(server, ownCache(source)), testIdentity(nil)
		g.Expect(callBy(t, sessions, identity)).To(Succeed())
		source.set("", errors.New("out of reach"))
		pass(10*time.Minute - 1)
		g.Expect(callBy(t, sessions, identity)).To(Succeed())
		pass(1)
		err := callBy(t, sessions, identity)
		g.Expect(Is(err, Permission)).To(BeTrue(), "%v", err)
		g.Expect(server.made("GetTrailStatus")).To(HaveLen(2))
	})
}

// TestOwnCredentialsEndBeforeTheNextTry holds that credentials that have expired are not used either while it is not
// worth asking for others.
func TestOwnCredentialsEndBeforeTheNextTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server, source := newMemorySTS(), &changingCredentials{key: "AKIAOWN"}
		sessions, identity := memorySessions(server, ownCache(source)), testIdentity(nil)
		g.Expect(callBy(t, sessions, identity)).To(Succeed())
		source.set("", errors.New("out of reach"))
		pass(10*time.Minute - firstReopen/2)
		_, err := sessions.Check(t.Context(), identity, true)
		g.Expect(err).To(HaveOccurred())
		g.Expect(callBy(t, sessions, identity)).To(Succeed())
		made := len(server.made("GetTrailStatus"))
		pass(firstReopen * 3 / 4)
		g.Expect(callBy(t, sessions, identity)).NotTo(Succeed())
		g.Expect(server.made("GetTrailStatus")).To(HaveLen(made), "no call is made by them")
	})
}

// TestChecksAreShared holds that checks at the same time are one, and that a worker does not wait for them.
func TestChecksAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server := newMemorySTS()
		sessions, identity := memorySessions(server, nil), roleIdentity()
		first, err := sessions.Check(t.Context(), identity, false)
		g.Expect(err).NotTo(HaveOccurred())
		server.set(func() { server.slow = map[string]time.Duration{"AssumeRole": 5 * time.Second} })
		errs := together(20, func() error {
			d := newDriver(t, sessions, "", "identity")
			err := d.reconcile(func(ctx context.Context) error {
				session, err := sessions.Check(ctx, identity, false)
				if err == nil && session != first {
					err = errors.New("another session")
				}
				return err
			})
			if d.held > maxWait {
				err = fmt.Errorf("held for %s", d.held)
			}
			return err
		})
		g.Expect(errors.Join(errs...)).NotTo(HaveOccurred())
		g.Expect(server.made("AssumeRole")).To(HaveLen(2))
	})
}

// TestSweep holds that what nobody uses is let go of, and that the meter learns which regions are used.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		server, meter := newMemorySTS(), &recordedMeter{}
		sessions, identity := memorySessions(server, func(o *Options) { o.Meter = meter }), testIdentity(nil)
		session, err := sessions.Open(t.Context(), identity)
		g.Expect(err).NotTo(HaveOccurred())
		kept := session.Region("us-east-1")
		busy := session.Region("us-west-2")
		use := func(region string) {
			_, err := session.Region(region).Status(t.Context(), "arn")
			g.Expect(err).NotTo(HaveOccurred())
		}
		for i := range 100 { // Whatever regions a tenant thinks of.
			use(fmt.Sprintf("eu-%d", i))
		}
		for range (clientUnused + 2*sweepEvery) / (10 * time.Second) {
			use("us-east-1")
			busy.snapshot.put("arn", &Trail{ARN: "arn"})
			pass(10 * time.Second)
		}
		session.mu.Lock()
		g.Expect(session.regions).To(HaveLen(2), "what nobody uses is let go of, unless something is held there")
		g.Expect(session.regions["us-east-1"].Region).To(BeIdenticalTo(kept))
		session.mu.Unlock()
		sessions.mu.Lock()
		g.Expect(sessions.clients).To(HaveLen(1))
		sessions.mu.Unlock()
		meter.mu.Lock()
		g.Expect(meter.used).
			To(Equal(map[string]bool{"us-east-1": true, testRegion: true}), "STS is called in the operator's own")
		meter.mu.Unlock()

		pass(clientUnused + 2*sweepEvery)
		synctest.Wait()
		sessions.mu.Lock()
		g.Expect(sessions.clients).To(BeEmpty())
		g.Expect(sessions.sweeper).To(BeNil())
		sessions.mu.Unlock()
		session.mu.Lock()
		g.Expect(session.regions).To(BeEmpty())
		session.mu.Unlock()
		use("us-east-1")
		g.Expect(session.Region("us-east-1")).NotTo(BeIdenticalTo(kept))
	})
}

// TestSweepWhileRegionsAreUsed holds that the two do not wait for each other.
func TestSweepWhileRegionsAreUsed(t *testing.T) {
	t.Parallel()
	sessions := memorySessions(newMemorySTS(), nil)
	session, err := sessions.Open(t.Context(), testIdentity(nil))
	g := NewWithT(t)
	g.Expect(err).NotTo(HaveOccurred())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range 5000 {
					session.Region(fmt.Sprint(i % 10))
				}
			})
			all.Go(func() {
				for range 1000 {
					sessions.sweep()
				}
			})
		}
		all.Wait()
	}()
	g.Eventually(done).WithTimeout(20*time.Second).Should(BeClosed(), "nobody waits for anybody for ever")
}
