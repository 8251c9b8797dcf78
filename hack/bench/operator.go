package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/trail-operator/trail-operator/hack/sandbox"
)

// operator is the built operator as a process of its own.
type operator struct {
	command *exec.Cmd
	log     *os.File
	// pprof is where it serves its profiles; 0: nowhere.
	pprof string
}

// logName is the operator's log in the fleet's folder.
const logName = "operator.log"

func (f *fleet) startOperator(ctx context.Context) (*operator, error) {
	log, err := os.OpenFile(filepath.Join(f.dir, logName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}

	o := &operator{log: log, pprof: "0"}
	if f.profiles != "" {
		if o.pprof, err = sandbox.FreeAddress(ctx); err != nil {
			return nil, errors.Join(err, log.Close())
		}
	}

	arguments := []string{
		"--leader-elect=false",
		"--metrics-bind-address=0",
		"--health-probe-bind-address=0",
		"--pprof-bind-address=" + o.pprof,
		"--resync-interval=" + f.interval.String(),
	}
	if f.limits {
		arguments = append(arguments, "--aws-rate-limits=on")
	}
	if f.reports {
		arguments = append(arguments, "--reports=openreports")
	}
	o.command = exec.CommandContext(ctx, f.binary, append(arguments, f.arguments...)...)

	o.command.Env = append(awsEnvironment(f.endpoint), "KUBECONFIG="+f.kubeconfig)
	o.command.Stdout, o.command.Stderr = log, log
	o.command.Cancel = func() error { return o.command.Process.Signal(syscall.SIGTERM) }
	return o, o.command.Start()
}

// awsEnvironment is the environment of a process for which the emulated AWS is the only one.
func awsEnvironment(endpoint string) []string {
	own := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "AWS_") })
	return append(
		own,
		"AWS_ENDPOINT_URL="+endpoint,
		"AWS_REGION="+region,
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
	)
}

func (o *operator) stop() error {
	if err := o.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return errors.Join(o.command.Wait(), o.log.Close())
}

// usage is what the kernel says of a process. Memory is resident: anonymous is its heap and stacks, the rest are pages
// of its binary, which the kernel can drop.
type usage struct {
	peakMiB, restMiB, anonymousMiB float64
	cpuSeconds                     float64
}

// clockTicks is the kernel's USER_HZ, 100 on every Linux that Go runs on.
const clockTicks = 100

func (o *operator) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(o.command.Process.Pid), name)
}

func (o *operator) usage() (usage, error) {
	var u usage
	status, err := os.ReadFile(o.proc("status"))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		for format, value := range map[string]*float64{
			"VmHWM: %f kB":   &u.peakMiB,
			"VmRSS: %f kB":   &u.restMiB,
			"RssAnon: %f kB": &u.anonymousMiB,
		} {
			var kib float64
			if _, err := fmt.Sscanf(line, format, &kib); err == nil {
				*value = kib / 1024
			}
		}
	}

	stat, err := os.ReadFile(o.proc("stat"))
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks float64
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return u, err
		}
		ticks += n
	}

	u.cpuSeconds = ticks / clockTicks
	return u, nil
}

// resetPeak makes the process's peak of memory begin anew.
// https://docs.kernel.org/filesystems/proc.html: "echo 5 > /proc/PID/clear_refs"
func (o *operator) resetPeak() error { return os.WriteFile(o.proc("clear_refs"), []byte("5"), 0) }

// profile writes a profile of the operator to a file: "profile?seconds=N" of its processor time, "heap" of its memory.
func (o *operator) profile(ctx context.Context, name, file string) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.pprof+"/debug/pprof/"+name, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("profile %s: %s: %s", name, response.Status, content)
	}
	return os.WriteFile(file, content, 0o600)
}
