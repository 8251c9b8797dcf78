package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// columns are those of `kubectl get trails` that the demo shows, and how narrow and wide they may be.
var columns = []struct {
	name         string
	least, width int
}{{"Name", 24, 32}, {"Ready", 7, 8}, {"Logging", 7, 8}, {"Region", 12, 16}, {"Status", 0, 70}}

// table returns the Trails as the API server's own printer columns show them.
func (s *stage) table(ctx context.Context) (string, error) {
	raw, err := s.tables.Get().AbsPath("/apis", v1alpha1.GroupVersion.String(), "trails").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(ctx).Raw()
	if err != nil {
		return "", fmt.Errorf("listing trails: %w", err)
	}
	var rows metav1.Table
	if err := json.Unmarshal(raw, &rows); err != nil {
		return "", fmt.Errorf("reading a table of trails: %w", err)
	}

	index := map[string]int{}
	for i, column := range rows.ColumnDefinitions {
		index[column.Name] = i
	}

	var text strings.Builder
	writer := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, column := range columns {
		fmt.Fprintf(writer, "%-*s\t", column.least, strings.ToUpper(column.name))
	}
	fmt.Fprintln(writer)
	for _, row := range rows.Rows {
		for _, column := range columns {
			fmt.Fprintf(writer, "%s\t", shorten(cell(row.Cells[index[column.name]]), column.width))
		}
		fmt.Fprintln(writer)
	}

	err = writer.Flush()
	return text.String(), err
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

// screen shows a table that refreshes: in place on a terminal; elsewhere just the rows that have changed.
type screen struct{ last []string }

func (s *screen) show(table string) {
	var rows []string
	for row := range strings.Lines(table) {
		rows = append(rows, strings.TrimRight(row, " \n"))
	}
	if slices.Equal(rows, s.last) {
		return
	}
	if terminal() && len(s.last) > 0 {
		fmt.Printf("\x1b[%dA\x1b[J", len(s.last))
	}
	for _, row := range rows {
		if terminal() || !slices.Contains(s.last, row) {
			fmt.Println(row)
		}
	}
	s.last = rows
}

func terminal() bool {
	info, err := os.Stdout.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
