package step

import (
	"fmt"
	"strings"

	"github.com/kprim/kprim/waitqueue/explore"
)

const keys = `Type the number of a thread, and Enter: it makes its next step.
h shows hints, r begins again, q leaves.

`

func (p *player) greeting() string {
	text := fmt.Sprintf("Your aim: %s.\n%v.", p.game.Aim, p.root)
	switch bound := p.game.Preemptions; {
	case bound == 1:
		text += " An order has at most 1 preemption:\na switch from a thread that could have gone on."
	case bound > 1:
		text += fmt.Sprintf(" An order has at most %d preemptions:\nswitches from a thread that could have gone on.", bound)
	}
	return text + "\n"
}

// turn shows where each thread stands, and asks for a choice.
func (p *player) turn(threads []explore.Standing, hints bool) string {
	var text strings.Builder
	fmt.Fprintf(&text, "step %d\n", p.step)
	for _, th := range threads {
		below := p.at.next[th.Number]
		switch {
		case below != nil && hints:
			fmt.Fprintf(&text, "%3d  %-42s %v\n", th.Number, th, below)
		case below != nil:
			fmt.Fprintf(&text, "%3d  %v\n", th.Number, th)
		case th.Step != "":
			fmt.Fprintf(&text, "  -  %v (one preemption too many)\n", th)
		default:
			fmt.Fprintf(&text, "  -  %v\n", th)
		}
	}
	return text.String() + "Which goes on? "
}

// verdict shows the order of the player, and one that wins if the player's does not.
func (p *player) verdict(order explore.Order) string {
	won, fault := order.Fault != "", order.Fault
	order.Fault = "" // it is in the first line
	switch {
	case won:
		return fmt.Sprintf("\nYou have won: %s\nYour order:\n%v%v.\n", fault, order, p.root)
	case p.simplest == nil:
		return fmt.Sprintf("\nYou have not won. Your order:\n%v%v.\n", order, p.root)
	}
	return fmt.Sprintf("\nYou have not won. Your order:\n%v%v. The simplest that wins:\n%v", order, p.root, p.simplest)
}

// show plays the simplest order that wins.
func (p *player) show() error {
	if p.simplest == nil {
		return fmt.Errorf("step: no order wins, so there is none to show")
	}
	text := p.greeting() + "\n"
	left := p.simplest.Numbers
	_, err := p.order(func(threads []explore.Standing) (number int, err error) {
		number, left = left[0], left[1:]
		text += fmt.Sprintf("%s%d\n", p.turn(threads, false), number)
		return number, nil
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s\nThis order wins: %s\nreplay %s\n", text, p.simplest.Fault, p.simplest.Replay)
	return err
}
