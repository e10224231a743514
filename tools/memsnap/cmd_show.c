/*
 * memsnap show: everything that is known of one snapshot.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/error.h"
#include "cmd.h"
#include "listing.h"
#include "output.h"
#include "range/range.h"
#include "refs.h"

#include <errno.h>
#include <inttypes.h>

static int line(struct msn_table *t, const char *key, const char *value)
{
	return msn_table_row(t, (const char *const[]){ key, value },
			     MSN_COLOR_NONE);
}

static int size_line(const struct msn_cli *cli, struct msn_table *t,
		     const char *key, uint64_t bytes)
{
	char text[MSN_VALUE_TEXT];

	return line(t, key, msn_text_size(cli, bytes, text));
}

static int count_line(struct msn_table *t, const char *key, uint64_t n)
{
	char text[MSN_VALUE_TEXT];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	return line(t, key, text);
}

static int identity_lines(struct msn_table *t,
			  const struct msn_snapshot_info *s)
{
	char text[MSN_VALUE_TEXT];
	int rc;

	rc = line(t, "Name", s->name[0] ? s->name : "-");
	msn_uid_format(s->uid, text);
	if (!rc)
		rc = line(t, "Uid", text);
	if (msn_uid_is_none(s->parent))
		snprintf(text, sizeof(text), "-");
	else
		msn_uid_format(s->parent, text);
	if (!rc)
		rc = line(t, "Parent", text);
	if (!rc)
		rc = line(t, "Created", msn_text_time(s->created_ns, text));
	return rc ? rc : line(t, "Origin", s->origin);
}

static int size_lines(const struct msn_cli *cli, struct msn_table *t,
		      const struct msn_snapshot_info *s)
{
	const struct msn_manifest_stats *p = &s->stats;
	const struct {
		const char *key;
		uint64_t bytes;
	} lines[] = {
		{ "Mapped", p->mapped << MSN_PAGE_SHIFT },
		{ "Private", p->private_pages << MSN_PAGE_SHIFT },
		{ "Stored", p->stored << MSN_PAGE_SHIFT },
		{ "Inherited", p->inherited << MSN_PAGE_SHIFT },
		{ "Deduplicated", p->deduped << MSN_PAGE_SHIFT },
		{ "Zero", p->zero << MSN_PAGE_SHIFT },
		{ "Manifest", s->manifest_bytes },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < MSN_ARRAY_LEN(lines); i++)
		rc = size_line(cli, t, lines[i].key, lines[i].bytes);
	return rc;
}

static int text_lines(struct msn_table *t, const char *what,
		      const struct msn_manifest_text *list, size_t count)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		msn_auto(msn_freep) char *key =
			msn_format("%s %s", what, list[i].key);

		rc = key ? line(t, key, list[i].value) : -ENOMEM;
	}
	return rc;
}

/* Seals by the names that fcntl(2) has for them, a bit each. */
static const char *const seal_names[] = { "seal",  "shrink",	   "grow",
					  "write", "future-write", "exec" };

/* The names of @seals, or "no seals". */
static void seals_text(uint32_t seals, char *out, size_t size)
{
	size_t len = 0;

	snprintf(out, size, "no seals");
	for (size_t i = 0; i < MSN_ARRAY_LEN(seal_names); i++)
		if (seals & UINT32_C(1) << i)
			len += (size_t)snprintf(out + len, size - len, "%s%s",
						len ? "," : "seals ",
						seal_names[i]);
}

static int object_line(const struct msn_cli *cli, struct msn_table *t,
		       const struct msn_manifest *m, size_t i)
{
	const struct msn_manifest_object *o = &m->objects[i];
	char key[MSN_VALUE_TEXT], size[MSN_VALUE_TEXT], seals[64];
	msn_auto(msn_freep) char *text = NULL;

	snprintf(key, sizeof(key), "Object %zu", i);
	if (!o->exact)
		return size_line(cli, t, key, o->size_bytes);
	seals_text(o->seals, seals, sizeof(seals));
	text = msn_format("%s, mode %04o, %s, %s",
			  msn_text_size(cli, o->size_bytes, size), o->mode,
			  seals, o->name);
	return text ? line(t, key, text) : -ENOMEM;
}

static int part_lines(const struct msn_cli *cli, struct msn_table *t,
		      const struct msn_manifest *m)
{
	char key[MSN_VALUE_TEXT + 300];
	int rc;

	rc = count_line(t, "Mappings", m->mapping_count);
	if (!rc)
		rc = count_line(t, "Runs", m->pages.count);
	if (!rc)
		rc = count_line(t, "Packs", m->pack_count);
	for (size_t i = 0; !rc && i < m->object_count; i++)
		rc = object_line(cli, t, m, i);
	for (size_t i = 0; !rc && i < m->blob_count; i++) {
		snprintf(key, sizeof(key), "Blob %s", m->blobs[i].name);
		rc = size_line(cli, t, key, m->blobs[i].size_bytes);
	}
	return rc;
}

static int print_lines(struct msn_cli *cli, const struct msn_snapshot_info *s,
		       const struct msn_manifest *m)
{
	static const struct msn_column columns[] = { { "KEY", false },
						     { "VALUE", false },
						     {} };
	msn_auto(msn_table_freep) struct msn_table *t = NULL;
	int rc;

	rc = msn_table_new(&t, cli, columns, false);
	if (!rc)
		rc = identity_lines(t, s);
	if (!rc)
		rc = size_lines(cli, t, s);
	if (!rc)
		rc = part_lines(cli, t, m);
	if (!rc)
		rc = text_lines(t, "Label", m->labels, m->label_count);
	if (!rc)
		rc = text_lines(t, "Attribute", m->attrs, m->attr_count);
	if (!rc)
		rc = msn_table_print(t);
	return rc ? msn_failure_errno(&cli->why, rc, "cannot print") : 0;
}

static json_t *texts_json(const struct msn_manifest_text *list, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < count; i++) {
		json_t *pair = json_pack("{s:o, s:o}", "key",
					 msn_json_text(list[i].key), "value",
					 msn_json_text(list[i].value));

		if (json_array_append_new(array, pair)) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *seals_json(uint32_t seals)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < MSN_ARRAY_LEN(seal_names); i++)
		if (seals & UINT32_C(1) << i &&
		    json_array_append_new(array, json_string(seal_names[i]))) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

static json_t *object_json(const struct msn_manifest_object *o)
{
	char mode[16];

	if (!o->exact)
		return json_pack("{s:o}", "bytes",
				 msn_json_count(o->size_bytes));
	snprintf(mode, sizeof(mode), "%04o", o->mode);
	return json_pack("{s:o, s:o, s:s, s:o}", "bytes",
			 msn_json_count(o->size_bytes), "name",
			 msn_json_text(o->name), "mode", mode, "seals",
			 seals_json(o->seals));
}

static json_t *objects_json(const struct msn_manifest *m)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < m->object_count; i++) {
		if (json_array_append_new(array, object_json(&m->objects[i]))) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *blobs_json(const struct msn_manifest *m)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < m->blob_count; i++) {
		json_t *blob = json_pack(
			"{s:o, s:o}", "name", msn_json_text(m->blobs[i].name),
			"bytes", msn_json_count(m->blobs[i].size_bytes));

		if (json_array_append_new(array, blob)) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *show_json(const struct msn_snapshot_info *s,
			 const struct msn_manifest *m)
{
	msn_auto(msn_json_decrefp) json_t *all = msn_listing_json(s);
	json_t *more =
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "runs",
			  msn_json_count(m->pages.count), "packs",
			  msn_json_count(m->pack_count), "labels",
			  texts_json(m->labels, m->label_count), "attributes",
			  texts_json(m->attrs, m->attr_count), "objects",
			  objects_json(m), "blobs", blobs_json(m));
	int rc = more && all ? json_object_update(all, more) : -1;

	json_decref(more);
	return rc ? NULL : json_incref(all);
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	struct msn_snapshot_info info;
	int rc;

	rc = msn_refs_store(cli, MSN_STORE_READ, &store);
	if (!rc)
		rc = msn_refs_info(cli, store, cli->argv[0], &info);
	if (!rc)
		rc = msn_store_load(store, info.uid, &m, &cli->why);
	if (rc)
		return msn_pass(rc);
	if (cli->json)
		return msn_json_print(show_json(&info, m), &cli->why);
	return print_lines(cli, &info, m);
}

static const struct msn_option options[] = {
	{ "bytes", 'p', NULL, "print sizes as plain numbers of bytes" }, {}
};

const struct msn_cmd msn_cmd_show = {
	.name = "show",
	.help = "show everything that is known of a snapshot",
	.synopsis = "REF [--bytes]",
	.options = options,
	.args_min = 1,
	.args_max = 1,
	.run = run,
};
