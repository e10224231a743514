/*
 * Trial: forks, and finds out how it went.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/trial.h"

#include "oracle/op_common.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct trial *trial_new(void)
{
	struct trial *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED)
		die("no memory to share: %m");
	return t;
}

void trial_free(struct trial *t)
{
	munmap(t, sizeof(*t));
}

void trial_add(struct trial *t, const struct step *s)
{
	if (t->count == TRIAL_STEPS)
		die("a sequence has at most %d steps", TRIAL_STEPS);
	t->list[t->count++] = *s;
}

void trial_differs(struct trial *t, const struct difference *d)
{
	const struct step *last = &t->list[t->count - 1];

	t->different = true;
	snprintf(t->signature, sizeof(t->signature), "%s of %s%s%s",
		 facet_names[d->facet], last->op->name, *d->detail ? ": " : "",
		 d->detail);
	snprintf(t->text, sizeof(t->text), "%s", d->text);
}

static void note_end(struct trial *t, int status)
{
	if (status == 0)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
		exit(3); /* die() has said why */
	t->different = true;
	snprintf(t->signature, sizeof(t->signature), "crash in %s",
		 t->count ? t->list[t->count - 1].op->name : "nothing");
	snprintf(t->text, sizeof(t->text), "  the process ended: %s %d\n",
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void trial_run(struct trial *t, void (*body)(struct trial *t, void *ctx),
	       void *ctx)
{
	int status;
	pid_t pid;

	t->count = 0;
	t->different = false;
	t->text[0] = '\0';
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("cannot fork: %m");
	if (pid == 0) {
		body(t, ctx);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("cannot wait: %m");
	if (status) {
		op_restore_clean(pid);
		files_clean(pid);
	}
	note_end(t, status);
}
