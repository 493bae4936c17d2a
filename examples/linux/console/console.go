// Package console reads the console of the guest that examples/linux/boot
// starts, and brings it and a printed.txt into one form.
package console

import (
	"errors"
	"regexp"
	"strings"
)

// Sessions returns the release of the kernel, and the lines that the sessions of
// each article printed. It fails if the guest has not come to its end.
func Sessions(console string) (release string, sessions map[string][]string, err error) {
	_, console, found := strings.Cut(console, "#### Linux ")
	console, _, ended := strings.Cut(console, "#### end\n")
	if !found || !ended {
		return "", nil, errors.New("console: the guest has not run its sessions to their end")
	}
	release, console, _ = strings.Cut(console, "\n")
	sessions = map[string][]string{}
	for _, text := range strings.Split("\n"+console, "\n#### ")[1:] {
		article, text, _ := strings.Cut(text, "\n")
		sessions[article] = append(sessions[article], plain(withNames(text)))
	}
	return release, sessions, nil
}

// A name tells which job or command a process is: "@A=94".
var (
	name    = regexp.MustCompile(`^@(\S+)=(\d+)$`)
	process = regexp.MustCompile(`(\S+) \((\d+)\)`)
)

// withNames replaces "tail (94)" by the letter of the job, or by the name of
// the command. Of other processes only the pid is left out.
func withNames(text string) string {
	names := map[string]string{} // by pid
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if m := name.FindStringSubmatch(line); m != nil {
			names[m[2]] = m[1]
			continue
		}
		lines = append(lines, process.ReplaceAllStringFunc(line, func(found string) string {
			m := process.FindStringSubmatch(found)
			if names[m[2]] != "" {
				return names[m[2]]
			}
			return m[1]
		}))
	}
	return strings.Join(lines, "\n")
}

// Printed returns the sessions of a printed.txt that the guest runs: from the
// first command or title on, without the sections of other machines.
func Printed(page string) string {
	start := regexp.MustCompile(`(?m)^(# |==== )`).FindStringIndex(page)
	if start == nil {
		return ""
	}
	sections := regexp.MustCompile(`(?m)^==== `).Split(page[start[0]:], -1)
	text := sections[0]
	for _, section := range sections[1:] {
		title, _, _ := strings.Cut(section, "\n")
		if !strings.Contains(title, "user-mode Linux") && !strings.Contains(title, "two CPUs") {
			text += "==== " + section
		}
	}
	return plain(text)
}

// The parts of a line that say nothing about the module, and their replacements.
var plainly = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`(?m)^.*(taints? kernel|verification failed).*\n`), ""},
	{regexp.MustCompile(`(?m)^\[\d+\][+-]? .*\n`), ""},                   // the shell, about a job
	{regexp.MustCompile(`(?m)^(kernel: |\[ *\d+\.\d+\] )`), ""},          // of a time stamp
	{regexp.MustCompile(`(?m)^[A-H]: `), ""},                             // of the output of a job
	{regexp.MustCompile(`[A-Z][a-z]{2} +\d+ \d\d:\d\d`), "Jan  1 00:00"}, // of ls
	{regexp.MustCompile(`(?m)\.cold$`), ""},                              // a part of a function
	{regexp.MustCompile(`(?m)^\S*sh: (line \d+: )?`), "sh: "},            // the name of the shell
	{regexp.MustCompile(`\n{2,}`), "\n"},
}

func plain(text string) string {
	text += "\n"
	for _, p := range plainly {
		text = p.pattern.ReplaceAllString(text, p.text)
	}
	return text
}
