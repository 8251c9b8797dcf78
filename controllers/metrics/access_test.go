package metrics

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
)

// reviews answers as the API server does: it knows the tokens "reader" and "stranger", and "reader" may get /metrics.
type reviews struct {
	mu             sync.Mutex
	broken         string // the path of the reviews that fail
	asked          []authorizationv1.SubjectAccessReviewSpec
	tokens         []string
	underWay, most int
}

func (r *reviews) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	r.underWay++
	r.most = max(r.most, r.underWay)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.underWay--
	}()
	if request.URL.Path == r.broken {
		http.Error(w, "down", http.StatusInternalServerError)
		return
	}
	var answer any
	var err error
	switch request.URL.Path {
	case tokenReviews:
		review := &authenticationv1.TokenReview{}
		err = json.NewDecoder(request.Body).Decode(review)
		r.mu.Lock()
		r.tokens = append(r.tokens, review.Spec.Token)
		r.mu.Unlock()
		if token := review.Spec.Token; token == "reader" || token == "stranger" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{
				Username: "system:serviceaccount:monitoring:" + token, UID: "uid", Groups: []string{"system:authenticated"},
				Extra: map[string]authenticationv1.ExtraValue{"credential-id": {"JTI=1"}},
			}}
		}
		answer = review
	case accessReviews:
		review := &authorizationv1.SubjectAccessReview{}
		err = json.NewDecoder(request.Body).Decode(review)
		r.mu.Lock()
		r.asked = append(r.asked, review.Spec)
		r.mu.Unlock()
		what := review.Spec.NonResourceAttributes
		review.Status.Allowed = review.Spec.User == "system:serviceaccount:monitoring:reader" &&
			what.Path == "/metrics" && what.Verb == "get"
		answer = review
	default:
		err = fmt.Errorf("unknown path %s", request.URL.Path)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		panic(err)
	}
}

const (
	tokenReviews  = "/apis/authentication.k8s.io/v1/tokenreviews"
	accessReviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
)

// serveReaders serves "the metrics" to those who may read them.
func serveReaders(t *testing.T, api *reviews) http.Handler {
	t.Helper()
	g := NewWithT(t)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	// As the operator's: no limit of the client's own.
	config := &rest.Config{Host: server.URL, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	filter, err := ForReaders(config, server.Client())
	g.Expect(err).NotTo(HaveOccurred())
	handler, err := filter(logr.Discard(),
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the metrics") }))
	g.Expect(err).NotTo(HaveOccurred())
	return handler
}

func ask(t *testing.T, handler http.Handler, method, path, authorization string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

func TestForReaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path, authorization, broken string
		status                              int
	}{
		"a reader":                          {"GET", "/metrics", "Bearer reader", "", 200},
		"a scheme in other letters":         {"GET", "/metrics", "bearer  reader", "", 200},
		"a stranger":                        {"GET", "/metrics", "Bearer stranger", "", 403},
		"a reader at another path":          {"GET", "/debug", "Bearer reader", "", 403},
		"a reader who writes":               {"POST", "/metrics", "Bearer reader", "", 403},
		"nobody":                            {"GET", "/metrics", "", "", 401},
		"an unknown token":                  {"GET", "/metrics", "Bearer made-up", "", 401},
		"no token":                          {"GET", "/metrics", "Bearer ", "", 401},
		"a password":                        {"GET", "/metrics", "Basic reader", "", 401},
		"a token without scheme":            {"GET", "/metrics", "reader", "", 401},
		"tokens cannot be reviewed":         {"GET", "/metrics", "Bearer reader", tokenReviews, 503},
		"access cannot be reviewed":         {"GET", "/metrics", "Bearer reader", accessReviews, 503},
		"a stranger, access not reviewable": {"GET", "/metrics", "Bearer stranger", accessReviews, 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			api := &reviews{broken: c.broken}
			answer := ask(t, serveReaders(t, api), c.method, c.path, c.authorization)
			g.Expect(answer.Code).To(Equal(c.status))
			if c.status == http.StatusOK {
				g.Expect(answer.Body.String()).To(Equal("the metrics"))
				g.Expect(api.asked).
					To(ConsistOf(HaveField("Extra", HaveKeyWithValue("credential-id", authorizationv1.ExtraValue{"JTI=1"}))))
				g.Expect(api.asked).
					To(ConsistOf(And(HaveField("UID", "uid"), HaveField("Groups", []string{"system:authenticated"}))))
			} else {
				g.Expect(answer.Body.String()).NotTo(ContainSubstring("the metrics"))
			}
			if c.status == http.StatusUnauthorized {
				g.Expect(api.asked).To(BeEmpty(), "who is not known is not asked for")
			}
		})
	}
}

// TestManyCallers holds that callers without rights cannot make the operator flood the API server.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	api := &reviews{}
	handler := serveReaders(t, api)
	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() { ask(t, handler, "GET", "/metrics", fmt.Sprintf("Bearer made-up-%d", i)) })
	}
	callers.Wait()
	g.Expect(api.tokens).To(HaveLen(100))
	g.Expect(api.most).To(BeNumerically("<=", reviewsAtOnce))
}
