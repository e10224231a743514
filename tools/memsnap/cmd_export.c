/*
 * memsnap export: a snapshot in another form.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "cmd.h"
#include "corefile/corefile.h"
#include "exit.h"
#include "output.h"
#include "progress.h"
#include "refs.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

static json_t *result_json(const struct msn_manifest *m, const char *path,
			   const struct msn_corefile_stats *s)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "uid",
			 msn_json_uid(m->uid), "file", msn_json_text(path),
			 "bytes", msn_json_count(s->size_bytes),
			 "written_bytes", msn_json_count(s->written_bytes),
			 "segments", msn_json_count(s->segment_count),
			 "missing_mappings",
			 msn_json_count(s->missing_mapping_count), "threads",
			 msn_json_count(s->thread_count));
}

static void print_text(const struct msn_cli *cli, const char *path,
		       const struct msn_corefile_stats *s)
{
	char text[MSN_VALUE_TEXT];

	if (cli->quiet)
		return;
	printf("wrote %s: %s, %" PRIu64 " thread%s\n", path,
	       msn_text_size(cli, s->size_bytes, text), s->thread_count,
	       s->thread_count == 1 ? "" : "s");
	if (s->missing_mapping_count)
		printf("without the bytes of %" PRIu64
		       " mappings whose files are not as they were\n",
		       s->missing_mapping_count);
}

static int export_core(struct msn_cli *cli, struct msn_store *store,
		       const struct msn_manifest *m, const char *path)
{
	struct msn_corefile_stats stats;
	struct msn_progress progress;
	int rc;

	msn_progress_begin(&progress, cli, "exporting");
	rc = msn_corefile_write(store, m,
				&(struct msn_corefile_opts){
					.path = path,
					.progress = msn_progress_step,
					.progress_ctx = &progress,
				},
				&stats, &cli->why);
	msn_progress_end(&progress);
	if (rc && msn_interrupt_check("the export", &cli->why))
		return -ECANCELED;
	if (rc)
		return msn_pass(rc);
	if (cli->json)
		return msn_json_print(result_json(m, path, &stats), &cli->why);
	print_text(cli, path, &stats);
	return 0;
}

/* Only a regular file may be replaced, and only when that was asked for. */
static int check_target(struct msn_cli *cli, const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return 0;
	if (!S_ISREG(st.st_mode))
		return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				       "'%s' is there and is no regular file",
				       path);
	if (msn_given_flag(cli, "force"))
		return 0;
	return msn_failure_set(&cli->why, -EEXIST, MSN_FAILURE_EXISTS,
			       "file '%s' exists; --force replaces it", path);
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	const char *path = msn_given_text(cli, "core");
	int rc;

	if (!path || !*path)
		return msn_failure_set(
			&cli->why, -EINVAL, MSN_FAILURE_INVALID,
			"export: say what to write: --core FILE");
	rc = msn_refs_store(cli, MSN_STORE_READ, &store);
	if (!rc)
		rc = msn_refs_load(cli, store, cli->argv[0], &m);
	if (!rc)
		rc = check_target(cli, path);
	if (rc)
		return msn_pass(rc);
	return export_core(cli, store, m, path);
}

static const struct msn_option options[] = {
	{ "core", 0, "FILE", "write an ELF core file" },
	{ "force", 'f', NULL, "replace a file that exists" },
	{ "bytes", 'p', NULL, "print sizes as plain numbers of bytes" },
	{}
};

const struct msn_cmd msn_cmd_export = {
	.name = "export",
	.help = "write a snapshot as a core file",
	.synopsis = "REF --core FILE [--force] [--bytes]",
	.options = options,
	.args_min = 1,
	.args_max = 1,
	.run = run,
};
