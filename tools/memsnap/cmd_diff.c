/*
 * memsnap diff: what is not the same in two snapshots.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Printed as it is found, JSON too: the memory does not grow with the number of
 * differences.
 */
#include "base/error.h"
#include "cmd.h"
#include "diff/diff.h"
#include "maps.h"
#include "output.h"
#include "progress.h"
#include "range/range.h"
#include "refs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

struct diff_cmd {
	struct msn_cli *cli;
	bool color;
	const char *separator; /* JSON: what goes before the next element */
	bool in_runs;	       /* JSON: the list of mappings is closed */
	struct msn_progress progress;
};

static void colored(const struct diff_cmd *c, const char *color,
		    const char *text)
{
	if (c->color)
		printf("\033[%sm%s\033[0m", color, text);
	else
		fputs(text, stdout);
}

static void print_side(const struct msn_manifest_mapping *m)
{
	char rights[5];

	printf(" %s ", msn_maps_rights(m, rights));
	msn_print_text(m->name[0] ? m->name : "(anonymous)");
}

static void mapping_text(const struct diff_cmd *c,
			 const struct msn_diff_mapping *d)
{
	static const struct {
		const char *color, *sign;
	} signs[] = {
		[MSN_DIFF_ADDED] = { "32", "+" },
		[MSN_DIFF_REMOVED] = { "31", "-" },
		[MSN_DIFF_CHANGED] = { "33", "!" },
	};

	colored(c, signs[d->change].color, signs[d->change].sign);
	printf(" %" PRIx64 "-%" PRIx64, d->start, d->end);
	if (d->a)
		print_side(d->a);
	if (d->a && d->b)
		fputs(" ->", stdout);
	if (d->b)
		print_side(d->b);
	putchar('\n');
}

static json_t *side_json(const struct msn_manifest_mapping *m)
{
	char rights[5];

	if (!m)
		return json_null();
	return json_pack("{s:s, s:s, s:o, s:o}", "rights",
			 msn_maps_rights(m, rights), "kind", msn_maps_kind(m),
			 "offset", msn_json_count(m->offset), "name",
			 msn_json_text(m->name));
}

static int print_element(struct diff_cmd *c, json_t *element)
{
	int rc = 0;

	if (!element)
		return msn_failure_errno(&c->cli->why, -ENOMEM, "cannot print");
	fputs(c->separator, stdout);
	c->separator = ",\n    ";
	if (json_dumpf(element, stdout, JSON_COMPACT) && !ferror(stdout))
		rc = -ENOMEM;
	json_decref(element);
	return rc;
}

static int on_mapping(void *ctx, const struct msn_diff_mapping *d)
{
	struct diff_cmd *c = ctx;

	if (c->cli->json)
		return print_element(
			c, json_pack("{s:s, s:o, s:o, s:o, s:o}", "change",
				     msn_diff_change_name(d->change), "start",
				     msn_json_address(d->start), "end",
				     msn_json_address(d->end), "a",
				     side_json(d->a), "b", side_json(d->b)));
	if (!c->cli->quiet)
		mapping_text(c, d);
	return 0;
}

static void open_runs(struct diff_cmd *c)
{
	if (c->in_runs)
		return;
	fputs("\n  ],\n  \"runs\": [", stdout);
	c->separator = "\n    ";
	c->in_runs = true;
}

static int on_run(void *ctx, const struct msn_diff_run *r)
{
	struct diff_cmd *c = ctx;

	msn_progress_end(&c->progress);
	if (c->cli->json) {
		open_runs(c);
		return print_element(
			c, json_pack("{s:o, s:o, s:o, s:o, s:b}", "start",
				     msn_json_address(r->start), "end",
				     msn_json_address(r->end), "pages",
				     msn_json_count(r->pages), "bytes_differ",
				     msn_json_count(r->bytes), "shared",
				     (int)r->shared));
	}
	if (c->cli->quiet)
		return 0;
	colored(c, "33", "*");
	printf(" %" PRIx64 "-%" PRIx64 " %" PRIu64 " page%s, %" PRIu64
	       " byte%s differ%s\n",
	       r->start, r->end, r->pages, r->pages == 1 ? "" : "s", r->bytes,
	       r->bytes == 1 ? "" : "s", r->shared ? ", shared" : "");
	return 0;
}

static void summary_text(const struct msn_cli *cli,
			 const struct msn_diff_summary *s)
{
	char size[MSN_VALUE_TEXT];

	if (!s->mappings_added && !s->mappings_removed &&
	    !s->mappings_changed && !s->changed_pages) {
		puts("no difference");
		return;
	}
	printf("mappings: %" PRIu64 " added, %" PRIu64 " removed, %" PRIu64
	       " changed; pages: %" PRIu64 " (%s) in %" PRIu64 " runs, %" PRIu64
	       " bytes differ\n",
	       s->mappings_added, s->mappings_removed, s->mappings_changed,
	       s->changed_pages,
	       msn_text_size(cli, s->changed_pages << MSN_PAGE_SHIFT, size),
	       s->changed_runs, s->changed_bytes);
}

static int summary_json(struct diff_cmd *c, const struct msn_diff_summary *s)
{
	json_t *json = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "mappings_added",
		msn_json_count(s->mappings_added), "mappings_removed",
		msn_json_count(s->mappings_removed), "mappings_changed",
		msn_json_count(s->mappings_changed), "changed_runs",
		msn_json_count(s->changed_runs), "changed_pages",
		msn_json_count(s->changed_pages), "bytes_differ",
		msn_json_count(s->changed_bytes), "same_place_pages",
		msn_json_count(s->same_place_pages), "compared_pages",
		msn_json_count(s->compared_pages));
	int rc;

	open_runs(c);
	c->separator = "\n  ],\n  \"summary\": ";
	rc = print_element(c, json);
	if (!rc)
		puts("\n}");
	return rc;
}

static void begin_json(struct diff_cmd *c, struct msn_uid a, struct msn_uid b)
{
	char text[2][MSN_UID_TEXT];

	msn_uid_format(a, text[0]);
	msn_uid_format(b, text[1]);
	printf("{\n  \"a\": \"%s\",\n  \"b\": \"%s\",\n  \"mappings\": [",
	       text[0], text[1]);
	c->separator = "\n    ";
}

static int diff(struct msn_cli *cli, struct msn_store *store, struct msn_uid a,
		struct msn_uid b)
{
	struct diff_cmd c = { .cli = cli, .color = msn_color_on(cli, stdout) };
	struct msn_diff_summary sum;
	int rc;

	if (cli->json)
		begin_json(&c, a, b);
	msn_progress_begin(&c.progress, cli, "comparing");
	rc = msn_diff(store, a, b,
		      &(struct msn_diff_opts){
			      .mapping = on_mapping,
			      .run = on_run,
			      .ctx = &c,
			      .progress = msn_progress_step,
			      .progress_ctx = &c.progress,
		      },
		      &sum, &cli->why);
	msn_progress_end(&c.progress);
	if (rc)
		return msn_pass(rc);
	if (cli->json)
		return summary_json(&c, &sum);
	summary_text(cli, &sum);
	return 0;
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	struct msn_uid a, b;
	int rc;

	rc = msn_refs_store(cli, MSN_STORE_READ, &store);
	if (!rc)
		rc = msn_refs_find(cli, store, cli->argv[0], &a);
	if (!rc)
		rc = msn_refs_find(cli, store, cli->argv[1], &b);
	if (rc)
		return msn_pass(rc);
	return diff(cli, store, a, b);
}

static const struct msn_option options[] = {
	{ "bytes", 'p', NULL, "print sizes as plain numbers of bytes" }, {}
};

const struct msn_cmd msn_cmd_diff = {
	.name = "diff",
	.help = "compare two snapshots",
	.synopsis = "REF REF [--bytes]",
	.options = options,
	.args_min = 2,
	.args_max = 2,
	.run = run,
};
