package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/trail-operator/trail-operator/api/v1alpha1"
)

// start is when the demo began; every line of it tells how long ago that was.
var start = time.Now()

func chapter(format string, arguments ...any) {
	fmt.Printf("\n── %5.1fs ── %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, arguments...))
}

func say(format string, arguments ...any) {
	fmt.Printf(format+"\n", arguments...)
}

// columns are those of `kubectl get trails` that the demo shows, and how wide they may be.
var columns = []struct {
	name  string
	width int
}{{"Name", 32}, {"Ready", 8}, {"Logging", 8}, {"Region", 16}, {"Status", 70}}

// table returns the Trails as the API server's own printer columns show them.
func (s *stage) table(ctx context.Context) (string, error) {
	config := rest.CopyConfig(s.rest)
	config.GroupVersion = &v1alpha1.GroupVersion
	config.APIPath = "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return "", err
	}
	var rows metav1.Table
	err = client.Get().Resource("trails").SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(ctx).Into(&rows)
	if err != nil {
		return "", fmt.Errorf("listing trails: %w", err)
	}
	index := map[string]int{}
	for i, column := range rows.ColumnDefinitions {
		index[column.Name] = i
	}
	var text strings.Builder
	writer := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, column := range columns {
		fmt.Fprintf(writer, "%s\t", strings.ToUpper(column.name))
	}
	fmt.Fprintln(writer)
	for _, row := range rows.Rows {
		for _, column := range columns {
			fmt.Fprintf(writer, "%s\t", shorten(cell(row.Cells[index[column.name]]), column.width))
		}
		fmt.Fprintln(writer)
	}
	return text.String(), writer.Flush()
}

func cell(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func shorten(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}

// screen shows a table that refreshes: in place on a terminal, elsewhere anew whenever it has changed.
type screen struct {
	last  string
	lines int
}

func (s *screen) show(text string) {
	if text == s.last {
		return
	}
	if terminal() && s.lines > 0 {
		fmt.Printf("\x1b[%dA\x1b[J", s.lines)
	} else if s.lines > 0 {
		fmt.Println()
	}
	fmt.Print(text)
	s.last, s.lines = text, strings.Count(text, "\n")
}

func terminal() bool {
	info, err := os.Stdout.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
