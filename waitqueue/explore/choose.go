package explore

import "fmt"

// A Standing is where a goroutine of a model stands when the next step is chosen.
type Standing struct {
	Number int    // for the choice, and in Order.Numbers
	Name   string // of the goroutine, or of the Event
	Step   string // the step that it makes next, as in Order.Steps; "" if it cannot go on
	Ended  bool   // it is at its end, or the Event has happened; never true for one that was adopted

	event bool
}

// String says in words where the goroutine stands.
func (s Standing) String() string {
	switch {
	case s.Step != "":
		return s.Step
	case s.event && s.Ended:
		return s.Name + ": has happened"
	case s.Ended:
		return s.Name + ": at its end"
	}
	return s.Name + ": asleep"
}

func (s scene) standings() (all []Standing) {
	for _, th := range s.all {
		stands := Standing{Number: th.number, Name: th.name, Ended: th.done.Load(), event: th.event != nil}
		if s.numbered(th.number) != nil {
			stands.Step = th.move().String()
		}
		all = append(all, stands)
	}
	return all
}

// choose makes one order. It ends at an error of next, or at a number that cannot go on.
func (e *explorer) choose(next func(scene) (number int, err error)) (o Order, err error) {
	defer e.watch()()
	o = e.order(func(here scene) (*Thread, string) {
		var number int
		if number, err = next(here); err != nil {
			return nil, err.Error()
		}
		th := here.numbered(number)
		if th == nil {
			err = fmt.Errorf("explore: number %d cannot go on, only these can: %s", number, menu(here.moves()))
			return nil, err.Error()
		}
		return th, ""
	})
	o.tell()
	return o, err
}
