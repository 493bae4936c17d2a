package dat

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An event is a kind of event, as its text looks. In braces are the fields of its record:
//
//	d  a number of 32 bits
//	3  the same, printed with three digits
//	x  one of 64 bits, in hexadecimal
//	s  a comm, of 16 bytes
//	c  the letter of a state
//	r  all the rest of the record
type event struct{ system, name, text string }

const task = "comm={comm:s} pid={pid:d} prio={prio:d} target_cpu={target_cpu:3}"

// events has all events of package trace. The index is the number of the event in the file.
var events = []event{
	{"sched", "sched_switch", "prev_comm={prev_comm:s} prev_pid={prev_pid:d} prev_prio={prev_prio:d} prev_state={prev_state:c}" +
		" ==> next_comm={next_comm:s} next_pid={next_pid:d} next_prio={next_prio:d}"},
	{"sched", "sched_waking", task},
	{"sched", "sched_wakeup", task},
	{"sched", "sched_blocked_reason", "pid={pid:d} iowait={iowait:d} caller={caller:r}"},
	{"signal", "signal_generate", "sig={sig:d} errno={errno:d} code={code:d} comm={comm:s} pid={pid:d} grp={group:d} res={result:d}"},
	{"workqueue", "workqueue_execute_start", "work struct {work:x}: function {function:r}"},
	{"workqueue", "workqueue_execute_end", "work struct {work:x}: function {function:r}"},
	{"kprim", "tracing_mark_write", "{buf:r}"},
}

// firstNumber is the number of the first event. The kernel's own begin at 1.
const firstNumber = 100

var field = regexp.MustCompile(`\{(\w+):(\w)\}`)

// A kind is the sort of a field, which its letter names.
type kind struct {
	size                      int // 0 is the rest
	c, array, verb, arg, text string
}

var kinds = map[string]kind{
	"d": {4, "int", "", "%d", "%s", `(-?\d+)`},
	"3": {4, "int", "", "%03d", "%s", `(-?\d+)`},
	"x": {8, "unsigned long", "", "%016lx", "%s", `([[:xdigit:]]+)`},
	"s": {16, "char", "[16]", "%s", "%s", `(\S+)`},
	"c": {4, "int", "", "%s", flags, `([` + states + `])`},
	"r": {0, "char", "[]", "%s", "%s", `(.*)`},
}

// flags tells trace-cmd and KernelShark which letter stands for which bit.
var flags = func() string {
	s := `%[1]s ? __print_flags(%[1]s, "|"`
	for i, letter := range states[1:] {
		s += fmt.Sprintf(`, { %#x, "%c" }`, 1<<i, letter)
	}
	return s + `) : "R"`
}()

// states has the kernel's letters. Running is 0, and each other one has a bit.
const states = "RSDTtXZPI"

// format describes the event to trace-cmd, as the file format of the event in tracefs does.
func (e event) format(number int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nID: %d\nformat:\n", e.name, number)
	offset := 0
	add := func(c, name string, size int) {
		fmt.Fprintf(&b, "\tfield:%s %s;\toffset:%d;\tsize:%d;\tsigned:1;\n", c, name, offset, size)
		offset += size
	}
	add("unsigned short", "common_type", 2)
	add("unsigned char", "common_flags", 1)
	add("unsigned char", "common_preempt_count", 1)
	add("int", "common_pid", 4)
	b.WriteString("\n")
	verbs, args := e.text, ""
	for _, f := range field.FindAllStringSubmatch(e.text, -1) {
		k := kinds[f[2]]
		add(k.c, f[1]+k.array, k.size)
		verbs = strings.Replace(verbs, f[0], k.verb, 1)
		args += ", " + fmt.Sprintf(k.arg, "REC->"+f[1])
	}
	fmt.Fprintf(&b, "\nprint fmt: %q%s\n", verbs, args)
	return b.String()
}

// patterns has the text of each event, as a pattern with a group for each field.
var patterns = func() (list []*regexp.Regexp) {
	for _, e := range events {
		pattern := regexp.QuoteMeta(e.text)
		for _, f := range field.FindAllStringSubmatch(e.text, -1) {
			pattern = strings.Replace(pattern, regexp.QuoteMeta(f[0]), kinds[f[2]].text, 1)
		}
		list = append(list, regexp.MustCompile("^"+pattern+"$"))
	}
	return list
}()

// encode returns the record of an event.
func encode(name string, pid int, text string) ([]byte, error) {
	for i, e := range events {
		if e.name != name {
			continue
		}
		values := patterns[i].FindStringSubmatch(text)
		if values == nil {
			return nil, fmt.Errorf("%q is not the text of a %s", text, name)
		}
		record := binary.LittleEndian.AppendUint32(nil, uint32(firstNumber+i)) // no flags
		record = binary.LittleEndian.AppendUint32(record, uint32(pid))
		var err error
		for j, f := range field.FindAllStringSubmatch(e.text, -1) {
			if record, err = appendField(record, f[2], values[j+1]); err != nil {
				return nil, err
			}
		}
		return record, nil
	}
	return nil, fmt.Errorf("the event %q is unknown", name)
}

func appendField(record []byte, letter, value string) ([]byte, error) {
	switch letter {
	case "d", "3":
		n, err := strconv.ParseInt(value, 10, 32)
		return binary.LittleEndian.AppendUint32(record, uint32(n)), err
	case "x":
		n, err := strconv.ParseUint(value, 16, 64)
		return binary.LittleEndian.AppendUint64(record, n), err
	case "s":
		var comm [16]byte
		copy(comm[:15], value)
		return append(record, comm[:]...), nil
	case "c":
		return binary.LittleEndian.AppendUint32(record, 1<<strings.Index(states, value)>>1), nil
	default:
		return append(append(record, value...), 0), nil
	}
}
