package e2e

import (
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var chartFolder = filepath.Join(root, "charts", "trail-operator")

// pushChart packs the chart, pushes it to a registry on loopback, and returns its name there: users install what is
// packed, without what .helmignore names. The registry lives as long as what calls this.
func (c *cluster) pushChart() string {
	GinkgoHelper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	DeferCleanup(server.Close)
	charts := strings.Replace(server.URL, "http://", "oci://", 1) + "/charts"

	c.helm("package", chartFolder, "--destination", c.folder)
	packed, err := filepath.Glob(filepath.Join(c.folder, "trail-operator-*.tgz"))
	Expect(err).NotTo(HaveOccurred())
	Expect(packed).To(HaveLen(1))
	c.helm("push", packed[0], charts, "--plain-http")
	return charts + "/trail-operator"
}
