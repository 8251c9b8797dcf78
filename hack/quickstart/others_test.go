package quickstart

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// others answers for the services that are not emulated that everything is done. The AWS CLI has checked the
// parameters before it calls.
type others struct {
	mu sync.Mutex
	// got are the parameters of the calls, by service, call and, of some services, the parameter's name.
	got map[string]string
}

// service is the service in a signature.
var service = regexp.MustCompile(`Credential=[^/]+/[0-9]+/[^/]+/([a-z0-9-]+)/aws4_request`)

// results are those that the commands look at.
var results = map[string]string{
	"DescribeStacks": "<Stacks><member><StackStatus>CREATE_COMPLETE</StackStatus></member></Stacks>",
}

// ServeHTTP implements http.Handler.
func (o *others) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	signature := service.FindStringSubmatch(r.Header.Get("Authorization"))
	if err != nil || signature == nil {
		http.Error(w, "no signature", http.StatusForbidden)
		return
	}

	switch signature[1] {
	case "iam", "cloudformation":
		form, err := url.ParseQuery(string(content))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		action := form.Get("Action")
		for name := range form {
			o.note(signature[1]+" "+action+" "+name, form.Get(name))
		}
		fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", action, results[action])
	case "eks":
		o.note("eks "+r.Method+" "+r.URL.Path, string(content))
		fmt.Fprint(w, `{"associations": [{"associationId": "a-1"}]}`)
	default:
		o.note(signature[1]+" "+r.Method+" "+r.URL.RequestURI(), string(content))
	}
}

// note keeps a parameter of a call.
func (o *others) note(call, value string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.got == nil {
		o.got = map[string]string{}
	}
	o.got[call] = value
}

// parameter returns a parameter of a call that was made.
func (o *others) parameter(call string) string {
	GinkgoHelper()
	o.mu.Lock()
	defer o.mu.Unlock()
	Expect(o.got).To(HaveKey(call))
	return o.got[call]
}
