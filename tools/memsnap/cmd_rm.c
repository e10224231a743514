/*
 * memsnap rm: snapshots are forgotten.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every reference is resolved and shown before the first one is removed.  What
 * cannot be removed is told and the others go on; with several references that
 * is a partial success.
 */
#include "base/alloc.h"
#include "base/error.h"
#include "cmd.h"
#include "exit.h"
#include "listing.h"
#include "output.h"
#include "range/range.h"
#include "refs.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* One reference of the command line. */
struct target {
	const char *ref;
	struct msn_snapshot_info info;
	bool known;    /* info is filled */
	bool repeated; /* names what another one names already */
	bool removed;
	struct msn_failure why;
};

struct targets {
	struct target *at;
	size_t count;
};

static void find_target(struct msn_cli *cli, struct msn_store *store,
			struct targets *t, size_t i)
{
	struct target *self = &t->at[i];

	self->ref = cli->argv[i];
	self->known = !msn_refs_info(cli, store, self->ref, &self->info);
	self->why = cli->why;
	cli->why = (struct msn_failure){};
	for (size_t j = 0; self->known && j < i; j++)
		if (t->at[j].known &&
		    msn_uid_equal(t->at[j].info.uid, self->info.uid))
			self->repeated = true;
}

/* Reads a line of the terminal: does it begin with y?  No restart on ^C. */
static bool answered_yes(void)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char text[64];
	ssize_t n;

	if (poll(&in, 1, -1) != 1)
		return false;
	n = read(STDIN_FILENO, text, sizeof(text));
	return n > 0 && (text[0] == 'y' || text[0] == 'Y');
}

static void ask(struct target *t)
{
	char name[MSN_VALUE_TEXT], uid[MSN_VALUE_TEXT], time[MSN_VALUE_TEXT];

	fprintf(stderr, "remove snapshot %s (%s, %s, %s)? [y/N] ",
		msn_listing_name(&t->info, name),
		msn_text_uid(t->info.uid, uid),
		msn_text_time(t->info.created_ns, time), t->info.origin);
	if (answered_yes())
		return;
	t->known = false;
	(void)msn_failure_set(&t->why, -ECANCELED, MSN_FAILURE_CANCELLED,
			      "snapshot %s was not removed", name);
}

static void remove_target(struct msn_store *store, struct target *t)
{
	t->removed = !msn_store_remove(store, t->info.uid, NULL, &t->why);
	if (!t->removed)
		(void)msn_failure_errno(&t->why, -EIO,
					"snapshot %s was not removed", t->ref);
}

/* ---- What is told --------------------------------------------------------*/

static void tell_removed(const struct msn_cli *cli, const struct target *t,
			 bool dry)
{
	char name[MSN_VALUE_TEXT], uid[MSN_VALUE_TEXT], size[MSN_VALUE_TEXT];

	if (cli->quiet && !dry)
		return;
	printf("%s snapshot %s (%s), which stored %s\n",
	       dry ? "would remove" : "removed",
	       msn_listing_name(&t->info, name), msn_text_uid(t->info.uid, uid),
	       msn_text_size(cli, t->info.stats.stored << MSN_PAGE_SHIFT,
			     size));
}

static json_t *failed_json(const struct target *t)
{
	return json_pack(
		"{s:o, s:{s:s, s:o, s:i}}", "ref", msn_json_text(t->ref),
		"error", "kind", msn_failure_kind_name(t->why.kind), "message",
		msn_json_text(t->why.text), "exit", msn_exit_code(t->why.kind));
}

static json_t *targets_json(const struct targets *t, bool dry)
{
	json_t *removed = json_array(), *failed = json_array();

	for (size_t i = 0; i < t->count; i++) {
		const struct target *one = &t->at[i];

		if (one->removed)
			json_array_append_new(removed,
					      msn_listing_json(&one->info));
		else if (one->why.kind)
			json_array_append_new(failed, failed_json(one));
	}
	return json_pack("{s:b, s:o, s:o}", "dry_run", (int)dry, "removed",
			 removed, "failed", failed);
}

/* Tells of every target, and decides how the program ends. */
static int tell(struct msn_cli *cli, const struct targets *t, bool dry)
{
	size_t removed = 0, failed = 0;
	int code = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct target *one = &t->at[i];

		if (one->removed) {
			removed++;
			if (!cli->json)
				tell_removed(cli, one, dry);
		} else if (one->why.kind) {
			cli->why = one->why;
			code = failed++ ? code : msn_exit_code(one->why.kind);
			(void)msn_exit_tell(cli);
		}
	}
	cli->why = (struct msn_failure){};
	cli->exit_code = failed && removed ? MSN_EXIT_PARTIAL : code;
	return cli->json ? msn_json_print(targets_json(t, dry), &cli->why) : 0;
}

/* ---- The verb ------------------------------------------------------------*/

static int remove_all(struct msn_cli *cli, struct msn_store *store,
		      struct targets *t)
{
	bool dry = msn_given_flag(cli, "dry-run");
	bool force = msn_given_flag(cli, "force");

	for (size_t i = 0; i < t->count; i++)
		find_target(cli, store, t, i);
	for (size_t i = 0; !dry && !force && i < t->count; i++)
		if (t->at[i].known && !t->at[i].repeated)
			ask(&t->at[i]);
	if (msn_interrupt_check("removing", &cli->why))
		return -ECANCELED;
	for (size_t i = 0; i < t->count; i++) {
		if (!t->at[i].known || t->at[i].repeated)
			continue;
		if (dry)
			t->at[i].removed = true;
		else
			remove_target(store, &t->at[i]);
	}
	return tell(cli, t, dry);
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_freep) struct target *list = NULL;
	bool dry = msn_given_flag(cli, "dry-run");
	int rc;

	if (!dry && !msn_given_flag(cli, "force") && !isatty(STDIN_FILENO))
		return msn_failure_set(
			&cli->why, -EINVAL, MSN_FAILURE_INVALID,
			"rm: will not remove '%s' without being asked on a "
			"terminal: give --force",
			cli->argv[0]);
	list = msn_alloc_array((size_t)cli->argc, sizeof(*list));
	if (!list)
		return msn_failure_errno(&cli->why, -ENOMEM, "cannot remove");
	rc = msn_refs_store(cli, dry ? MSN_STORE_READ : MSN_STORE_CHANGE,
			    &store);
	if (rc)
		return msn_pass(rc);
	return remove_all(cli, store,
			  &(struct targets){ list, (size_t)cli->argc });
}

static const struct msn_option options[] = {
	{ "force", 'f', NULL, "remove without asking" },
	{ "dry-run", 'n', NULL, "say what would be removed, and leave it" },
	{ "bytes", 'p', NULL, "print sizes as plain numbers of bytes" },
	{}
};

const struct msn_cmd msn_cmd_rm = {
	.name = "rm",
	.help = "remove snapshots",
	.synopsis = "REF... [--force] [--dry-run] [--bytes]",
	.options = options,
	.args_min = 1,
	.args_max = -1,
	.run = run,
};
