/*
 * memsnap info: this program, this kernel, this store.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "cmd.h"
#include "kernel_features.h"
#include "output.h"
#include "refs.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define FEATURES (MSN_FEATURE_COUNT + 1)

struct info {
	struct utsname kernel;
	struct msn_feature features[FEATURES];
	size_t feature_count;
	bool exists; /* the store; else what is below means nothing */
	struct msn_uid uid;
	struct msn_store_usage usage;
	const char *aio;
};

static int ask_store(struct msn_cli *cli, struct info *i)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	struct stat st;
	int rc;

	rc = msn_refs_store_path(cli);
	if (rc)
		return msn_pass(rc);
	if (stat(cli->store_path, &st) != 0 && errno == ENOENT)
		return 0;
	rc = msn_refs_store(cli, MSN_STORE_READ, &store);
	if (!rc)
		rc = msn_store_usage(store, &i->usage, &cli->why);
	if (rc)
		return msn_pass(rc);
	msn_feature_direct_io(cli->store_path,
			      &i->features[i->feature_count++]);
	i->exists = true;
	i->uid = msn_store_uid(store);
	i->aio = msn_store_aio_name(store);
	return 0;
}

/* ---- Text ----------------------------------------------------------------*/

static int row(struct msn_table *t, const char *key, const char *value,
	       enum msn_table_color color)
{
	return msn_table_row(t, (const char *const[]){ key, value }, color);
}

static int feature_rows(struct msn_table *t, const struct info *i)
{
	int rc = 0;

	for (size_t n = 0; !rc && n < i->feature_count; n++) {
		const struct msn_feature *f = &i->features[n];
		char text[MSN_FEATURE_TEXT + 8];

		snprintf(text, sizeof(text), "%s: %s", f->there ? "yes" : "no",
			 f->detail);
		rc = row(t, f->name, text,
			 f->there ? MSN_COLOR_GOOD : MSN_COLOR_WARN);
	}
	return rc;
}

static int store_rows(const struct msn_cli *cli, struct msn_table *t,
		      const struct info *i)
{
	char text[MSN_VALUE_TEXT + 64], size[MSN_VALUE_TEXT];
	int rc;

	rc = row(t, "store", cli->store_path, MSN_COLOR_NONE);
	if (rc || !i->exists)
		return rc ? rc
			  : row(t, "state", "not there yet", MSN_COLOR_NONE);
	msn_uid_format(i->uid, text);
	rc = row(t, "uid", text, MSN_COLOR_NONE);
	if (!rc)
		rc = row(t, "I/O", i->aio, MSN_COLOR_NONE);
	snprintf(text, sizeof(text), "%" PRIu64, i->usage.snapshot_count);
	if (!rc)
		rc = row(t, "snapshots", text, MSN_COLOR_NONE);
	snprintf(text, sizeof(text),
		 "%" PRIu64 " with %s, and %" PRIu64 " to be used again",
		 i->usage.pack_count,
		 msn_text_size(cli, i->usage.pack_bytes, size),
		 i->usage.spare_count);
	if (!rc)
		rc = row(t, "packs", text, MSN_COLOR_NONE);
	msn_text_size(cli, i->usage.catalog_bytes, size);
	return rc ? rc : row(t, "catalog", size, MSN_COLOR_NONE);
}

static int print_rows(struct msn_cli *cli, const struct info *i)
{
	static const struct msn_column columns[] = { { "KEY", false },
						     { "VALUE", false },
						     {} };
	msn_auto(msn_table_freep) struct msn_table *t = NULL;
	int rc;

	rc = msn_table_new(&t, cli, columns, false);
	if (!rc)
		rc = row(t, "memsnap", MSN_VERSION, MSN_COLOR_NONE);
	if (!rc)
		rc = row(t, "kernel", i->kernel.release, MSN_COLOR_NONE);
	if (!rc)
		rc = feature_rows(t, i);
	if (!rc)
		rc = store_rows(cli, t, i);
	if (!rc)
		rc = msn_table_print(t);
	return rc ? msn_failure_errno(&cli->why, rc, "cannot print") : 0;
}

/* ---- JSON ----------------------------------------------------------------*/

static json_t *features_json(const struct info *i)
{
	json_t *all = json_object();

	for (size_t n = 0; all && n < i->feature_count; n++) {
		const struct msn_feature *f = &i->features[n];
		json_t *one = json_pack("{s:b, s:s}", "available",
					(int)f->there, "detail", f->detail);

		if (json_object_set_new(all, f->name, one)) {
			json_decref(all);
			all = NULL;
		}
	}
	return all;
}

static json_t *store_json(const struct msn_cli *cli, const struct info *i)
{
	if (!i->exists)
		return json_pack("{s:o, s:b}", "path",
				 msn_json_text(cli->store_path), "exists", 0);
	return json_pack("{s:o, s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o}",
			 "path", msn_json_text(cli->store_path), "exists", 1,
			 "uid", msn_json_uid(i->uid), "io", i->aio, "snapshots",
			 msn_json_count(i->usage.snapshot_count), "packs",
			 msn_json_count(i->usage.pack_count), "spare_packs",
			 msn_json_count(i->usage.spare_count), "pack_bytes",
			 msn_json_count(i->usage.pack_bytes), "catalog_bytes",
			 msn_json_count(i->usage.catalog_bytes));
}

static int run(struct msn_cli *cli)
{
	struct info i = { .feature_count = MSN_FEATURE_COUNT };
	int rc;

	uname(&i.kernel);
	msn_features_probe(i.features);
	rc = ask_store(cli, &i);
	if (rc)
		return msn_pass(rc);
	if (!cli->json)
		return print_rows(cli, &i);
	return msn_json_print(json_pack("{s:s, s:s, s:o, s:o}", "version",
					MSN_VERSION, "kernel", i.kernel.release,
					"features", features_json(&i), "store",
					store_json(cli, &i)),
			      &cli->why);
}

static const struct msn_option options[] = {
	{ "bytes", 'p', NULL, "print sizes as plain numbers of bytes" }, {}
};

const struct msn_cmd msn_cmd_info = {
	.name = "info",
	.help = "tell of this program, the kernel and the store",
	.synopsis = "[--bytes]",
	.options = options,
	.run = run,
};
