/*
 * memsnap read: bytes of a saved space, raw.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "base/fd.h"
#include "cmd.h"
#include "exit.h"
#include "maps.h"
#include "range/access.h"
#include "refs.h"
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* A space's own program could not have read there either. */
static int check_rights(const struct msn_view *v, const struct msn_manifest *m,
			uint64_t addr, struct msn_failure *why)
{
	const struct msn_manifest_mapping *map =
		msn_manifest_mapping_at(m, addr);
	char rights[5];

	if (!map || msn_access_effective(map->perms) & MSN_ACCESS_READ)
		return 0;
	return msn_failure_set(why, -EFAULT, MSN_FAILURE_INVALID,
			       "address 0x%" PRIx64
			       " may not be read in snapshot %s: its mapping "
			       "is %s",
			       addr, msn_view_name(v),
			       msn_maps_rights(map, rights));
}

static int write_out(const uint8_t *data, size_t len, struct msn_failure *why)
{
	int rc = msn_write_full(STDOUT_FILENO, data, len);

	if (!rc || rc == -EPIPE)
		return msn_pass(rc);
	return msn_failure_errno(why, rc, "cannot write to standard output");
}

static int write_range(struct msn_view *v, const struct msn_manifest *m,
		       uint64_t addr, uint64_t len, uint64_t *done,
		       struct msn_failure *why)
{
	while (*done < len) {
		const uint8_t *data;
		size_t shown;
		int rc;

		rc = msn_interrupt_check("reading", why);
		if (!rc)
			rc = check_rights(v, m, addr + *done, why);
		if (!rc)
			rc = msn_view_at(v, addr + *done, len - *done, &data,
					 &shown, why);
		if (!rc)
			rc = write_out(data, shown, why);
		if (rc)
			return msn_pass(rc);
		*done += shown;
	}
	return 0;
}

static int read_range(struct msn_cli *cli, struct msn_store *store,
		      const struct msn_manifest *m, uint64_t addr, uint64_t len)
{
	msn_auto(msn_view_freep) struct msn_view *v = NULL;
	struct msn_failure f = {};
	uint64_t done = 0;
	int rc;

	rc = msn_view_new(&v, store, m, &cli->why);
	if (rc)
		return msn_pass(rc);
	rc = write_range(v, m, addr, len, &done, &f);
	if (!rc || f.kind == MSN_FAILURE_NONE)
		return msn_pass(rc);
	if (!done)
		return msn_failure_set(&cli->why, rc, f.kind, "%s", f.text);
	return msn_failure_set(&cli->why, rc, f.kind,
			       "%.400s; only the first %" PRIu64 " of %" PRIu64
			       " bytes were written",
			       f.text, done, len);
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	uint64_t addr, len;
	int rc;

	rc = msn_refs_number(cli, "address", cli->argv[1], false, &addr);
	if (!rc)
		rc = msn_refs_number(cli, "length", cli->argv[2], true, &len);
	if (!rc && len > UINT64_MAX - addr)
		rc = msn_failure_set(&cli->why, -ERANGE, MSN_FAILURE_INVALID,
				     "%s bytes at address %s pass the end of "
				     "all addresses",
				     cli->argv[2], cli->argv[1]);
	if (!rc && cli->json)
		rc = msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				     "read: raw bytes cannot be JSON");
	if (!rc)
		rc = msn_refs_store(cli, MSN_STORE_READ, &store);
	if (!rc)
		rc = msn_refs_load(cli, store, cli->argv[0], &m);
	if (rc)
		return msn_pass(rc);
	return read_range(cli, store, m, addr, len);
}

const struct msn_cmd msn_cmd_read = {
	.name = "read",
	.help = "write bytes of a snapshot's memory to standard output",
	.synopsis = "REF ADDRESS LENGTH",
	.args_min = 3,
	.args_max = 3,
	.run = run,
};
