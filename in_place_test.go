package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// uniform returns what is in all files of a directory, which a mix of two states has not.
func (w *world) uniform(dir string) string {
	w.t.Helper()
	tree, err := describeTree(w.path(dir), false)
	w.check(err)
	words := map[string]bool{}
	for name, text := range tree {
		if !strings.HasPrefix(text, "d") {
			_, size, _ := strings.Cut(text, " bytes ")
			words[size] = true
		} else if name != "." {
			w.t.Errorf("%s is there", name)
		}
	}
	if len(words) != 1 || len(tree) != 21 {
		w.t.Fatalf("%s is no state that ever was: %v", dir, tree)
	}
	for word := range words {
		return word
	}
	return ""
}

// Restores and backups at once: one waits for the other, or says that it is in use. Nothing is left half done, and what is backed up meanwhile is one state.
func TestInPlaceTogether(t *testing.T) {
	w := newWorld(t)
	w.write("lifeboat.yaml", "app: app\nlocal: {keep: 50}\n")
	state := func(word string) string {
		for i := range 20 {
			w.write(fmt.Sprintf("one/%02d", i), word)
		}
		return w.uniform("one")
	}
	then := state("then")
	w.must("create", "one", "--app", "app")
	stamps := func() (list []string) {
		for _, s := range w.document("list", "--app", "app")["snapshots"].([]any) {
			list = append(list, s.(map[string]any)["stamp"].(string))
		}
		return list
	}
	stamp := slices.Max(stamps())
	now := state("now")

	// together runs commands at once and returns their exit codes, and what they said.
	together := func(commands ...[]string) (codes []int, said string) {
		var running []*exec.Cmd
		var outputs []*bytes.Buffer
		for _, args := range commands {
			cmd, out := w.command("", nil, args...), new(bytes.Buffer)
			cmd.Stdout, cmd.Stderr = out, out
			w.check(cmd.Start())
			running, outputs = append(running, cmd), append(outputs, out)
		}
		for i, cmd := range running {
			cmd.Wait()
			codes = append(codes, cmd.ProcessState.ExitCode())
			said += outputs[i].String()
		}
		return codes, said
	}
	restore := []string{"restore", stamp, "--app", "app", "--confirm-service-stopped"}
	create := []string{"create", "one", "--app", "app"}
	wait := func(args []string) []string { return append(slices.Clone(args), "--wait", "10m") }

	if codes, said := together(wait(restore), wait(create), wait(restore), wait(create)); !slices.Equal(codes, []int{0, 0, 0, 0}) {
		t.Fatalf("exit codes %v\n%s", codes, said)
	}
	if got := w.uniform("one"); got != then {
		t.Errorf("after two restores: %s", got)
	}
	for i, taken := range stamps() {
		if taken > stamp {
			target := fmt.Sprintf("look%d", i)
			w.must("restore", taken, "--app", "app", "--target", target)
			if got := w.uniform(target + "/one"); got != then && got != now {
				t.Errorf("%s has what never was: %s", taken, got)
			}
		}
	}
	undo := []string{"undo", "--app", "app", "--confirm-service-stopped"}
	if codes, said := together(wait(undo), wait(undo)); !slices.Equal(codes, []int{0, 0}) {
		t.Fatalf("exit codes %v\n%s", codes, said)
	}
	if got := w.uniform("one"); got != now {
		t.Errorf("after two undos: %s", got)
	}

	// Who does not want to wait is told, and has changed nothing.
	codes, said := together(restore, create, restore, create)
	done, refused := 0, 0
	for _, code := range codes {
		switch code {
		case 0:
			done++
		case 11:
			refused++
		}
	}
	if done == 0 || done+refused != len(codes) || strings.Count(said, "in use by process") != refused {
		t.Errorf("exit codes %v\n%s", codes, said)
	}
	want := now
	if codes[0] == 0 || codes[2] == 0 {
		want = then
	}
	if got := w.uniform("one"); got != want {
		t.Errorf("afterwards: %s", got)
	}
	if codes, said := together([]string{"restore", "--resume", "--app", "app"}); codes[0] != 8 || !strings.Contains(said, "there is no restore to resume") {
		t.Errorf("exit code %v: %s", codes, said)
	}
}
