/*
 * memsnap capture: a running process becomes a snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "capture/capture.h"
#include "cmd.h"
#include "exit.h"
#include "format/manifest.h"
#include "output.h"
#include "progress.h"
#include "range/range.h"
#include "refs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What the command line says of labels, taken apart. */
struct labels {
	struct msn_save_text *list;
	char **keys; /* owned; values point into the command line */
	size_t count;
};

static void labels_deinit(struct labels *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->keys[i]);
	free(l->keys);
	free(l->list);
}

/* What is wrong with a label, or NULL. */
static const char *label_check(const struct labels *l, const char *text)
{
	size_t key = strcspn(text, "=");

	if (!key || !text[key])
		return "it is not KEY=VALUE";
	if (strlen(text) - 1 > MSN_LABEL_BYTES_MAX)
		return "it is too long";
	if (!msn_utf8_valid(text))
		return "it is not UTF-8";
	if (l->count == MSN_LABEL_COUNT_MAX)
		return "there are too many";
	for (size_t i = 0; i < l->count; i++)
		if (strlen(l->keys[i]) == key &&
		    memcmp(l->keys[i], text, key) == 0)
			return "its key was given before";
	return NULL;
}

static int labels_add(struct msn_cli *cli, struct labels *l, const char *text)
{
	const char *wrong = label_check(l, text);
	size_t len = strcspn(text, "=");
	char *key;

	if (wrong)
		return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				       "label '%.80s': %s", text, wrong);
	key = msn_format("%.*s", (int)len, text);
	if (!key)
		return msn_failure_errno(&cli->why, -ENOMEM, "cannot label");
	l->keys[l->count] = key;
	l->list[l->count].key = key;
	l->list[l->count++].value = text + len + 1;
	return 0;
}

static int labels_parse(struct msn_cli *cli, struct labels *l)
{
	int rc = 0;

	l->list = msn_alloc_array(cli->given_count, sizeof(*l->list));
	l->keys = msn_alloc_array(cli->given_count, sizeof(*l->keys));
	if (!l->list || !l->keys)
		return msn_failure_errno(&cli->why, -ENOMEM, "cannot label");
	for (size_t i = 0; !rc && i < cli->given_count; i++)
		if (strcmp(cli->given[i].option->name, "label") == 0)
			rc = labels_add(cli, l, cli->given[i].value);
	return msn_pass(rc);
}

static int check_name(struct msn_cli *cli, const char *name)
{
	const char *wrong = name ? msn_snapshot_name_check(name) : NULL;

	if (!wrong)
		return 0;
	return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
			       "'%.80s' cannot name a snapshot: %s", name,
			       wrong);
}

static json_t *result_json(struct msn_uid uid, const struct msn_capture_opts *o,
			   const struct msn_capture_stats *s)
{
	const struct msn_manifest_stats *p = &s->pages;

	return json_pack(
		"{s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o}",
		"uid", msn_json_uid(uid), "name",
		o->name ? msn_json_text(o->name) : json_null(), "parent",
		o->parent ? msn_json_uid(*o->parent) : json_null(), "pid",
		(int)o->pid, "threads", msn_json_count(s->thread_count),
		"pause_ns", msn_json_count(s->pause_ns), "read_bytes",
		msn_json_count(s->read_bytes), "mapped_bytes",
		msn_json_count(p->mapped << MSN_PAGE_SHIFT), "private_bytes",
		msn_json_count(p->private_pages << MSN_PAGE_SHIFT),
		"stored_bytes", msn_json_count(p->stored << MSN_PAGE_SHIFT),
		"inherited_bytes",
		msn_json_count(p->inherited << MSN_PAGE_SHIFT), "deduped_bytes",
		msn_json_count(p->deduped << MSN_PAGE_SHIFT), "zero_bytes",
		msn_json_count(p->zero << MSN_PAGE_SHIFT));
}

static void print_text(const struct msn_cli *cli, struct msn_uid uid,
		       const struct msn_capture_opts *o,
		       const struct msn_capture_stats *s)
{
	char text[3][MSN_VALUE_TEXT];

	msn_uid_format(uid, text[0]);
	if (cli->quiet) {
		puts(text[0]);
		return;
	}
	text[0][MSN_UID_SHORT] = '\0';
	printf("captured process %d as %s%s%s%s: %s private, %s stored, "
	       "stopped for %.1f ms\n",
	       (int)o->pid, o->name ? o->name : text[0], o->name ? " (" : "",
	       o->name ? text[0] : "", o->name ? ")" : "",
	       msn_text_size(cli, s->pages.private_pages << MSN_PAGE_SHIFT,
			     text[1]),
	       msn_text_size(cli, s->pages.stored << MSN_PAGE_SHIFT, text[2]),
	       (double)s->pause_ns / 1e6);
}

static int capture(struct msn_cli *cli, struct msn_store *store,
		   struct msn_capture_opts *o)
{
	struct msn_capture_stats stats = {};
	struct msn_progress progress;
	struct msn_uid uid;
	int rc;

	msn_progress_begin(&progress, cli, "capturing");
	o->progress = msn_progress_step;
	o->progress_ctx = &progress;
	rc = msn_capture(store, o, &uid, &stats, &cli->why);
	msn_progress_end(&progress);
	if (rc && msn_interrupt_check("the capture", &cli->why))
		return -ECANCELED;
	if (rc)
		return msn_pass(rc);
	if (cli->json)
		return msn_json_print(result_json(uid, o, &stats), &cli->why);
	print_text(cli, uid, o, &stats);
	return 0;
}

static int capture_into_store(struct msn_cli *cli, struct msn_capture_opts *o)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	const char *parent = msn_given_text(cli, "parent");
	struct msn_uid uid;
	int rc;

	rc = msn_refs_store(cli, MSN_STORE_CREATE, &store);
	if (!rc && parent) {
		rc = msn_refs_find(cli, store, parent, &uid);
		o->parent = &uid;
	}
	if (rc)
		return msn_pass(rc);
	return capture(cli, store, o);
}

/* --stage: "none" or a number of MiB. */
static int parse_stage(struct msn_cli *cli, uint64_t *bytes)
{
	const char *text = msn_given_text(cli, "stage");
	unsigned long long mib;
	char *end;

	*bytes = text ? 1 : 0; /* less than a page: none */
	if (!text || strcmp(text, "none") == 0)
		return 0;
	errno = 0;
	mib = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || mib > 1 << 30)
		return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				       "--stage '%.80s' is neither a number of "
				       "MiB nor 'none'",
				       text);
	if (mib)
		*bytes = (uint64_t)mib << 20;
	return 0;
}

static int run(struct msn_cli *cli)
{
	struct msn_capture_opts o = { .name = msn_given_text(cli, "name") };
	struct labels labels = {};
	int rc;

	rc = check_name(cli, o.name);
	if (!rc)
		rc = parse_stage(cli, &o.stage_bytes);
	if (!rc)
		rc = msn_refs_pid(cli, cli->argv[0], &o.pid);
	if (!rc)
		rc = labels_parse(cli, &labels);
	o.labels = labels.list;
	o.label_count = labels.count;
	if (!rc)
		rc = capture_into_store(cli, &o);
	labels_deinit(&labels);
	return msn_pass(rc);
}

static const struct msn_option options[] = {
	{ "name", 'n', "NAME", "give the snapshot a name" },
	{ "parent", 0, "REF", "store only what differs from this snapshot" },
	{ "label", 'l', "KEY=VALUE",
	  "note this with the snapshot; repeatable" },
	{ "stage", 0, "MIB", "memory to copy the private pages into" },
	{ "bytes", 'p', NULL, "print sizes as plain numbers of bytes" },
	{}
};

const struct msn_cmd msn_cmd_capture = {
	.name = "capture",
	.help = "make a snapshot of a running process",
	.synopsis = "PID [--name NAME] [--parent REF] [--label KEY=VALUE]... "
		    "[--stage MIB]",
	.options = options,
	.args_min = 1,
	.args_max = 1,
	.run = run,
};
