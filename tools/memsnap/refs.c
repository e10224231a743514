/*
 * Words of the command line, checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "refs.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int msn_refs_store_path(struct msn_cli *cli)
{
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");

	if (cli->store_path)
		return 0;
	cli->store_path = getenv("MEMSNAP_STORE");
	if (cli->store_path && *cli->store_path)
		return 0;
	cli->store_path = NULL;
	if (geteuid() == 0)
		cli->store_default = msn_strdup("/var/lib/memsnap");
	else if (data && *data == '/')
		cli->store_default = msn_format("%s/memsnap", data);
	else if (home && *home)
		cli->store_default =
			msn_format("%s/.local/share/memsnap", home);
	else
		return msn_failure_set(
			&cli->why, -EINVAL, MSN_FAILURE_INVALID,
			"no store: give --store, or set MEMSNAP_STORE or HOME");
	if (!cli->store_default)
		return msn_failure_errno(&cli->why, -ENOMEM, "no store");
	cli->store_path = cli->store_default;
	return 0;
}

/* Makes the folders above the store; the store makes its own. */
static int make_parents(struct msn_cli *cli)
{
	msn_auto(msn_freep) char *path = msn_strdup(cli->store_path);

	if (!path)
		return msn_failure_errno(&cli->why, -ENOMEM, "store '%s'",
					 cli->store_path);
	for (char *at = path + 1; *path && (at = strchr(at, '/')); at++) {
		int rc;

		*at = '\0';
		rc = mkdir(path, 0755) == 0 ? 0 : -errno;
		if (rc && rc != -EEXIST && rc != -EROFS && rc != -EACCES)
			return msn_failure_errno(
				&cli->why, rc, "cannot make folder '%s'", path);
		*at = '/';
	}
	return 0;
}

int msn_refs_store(struct msn_cli *cli, enum msn_store_use use,
		   struct msn_store **out)
{
	struct stat st;
	int rc;

	rc = msn_refs_store_path(cli);
	if (!rc && use == MSN_STORE_CREATE)
		rc = make_parents(cli);
	if (rc)
		return msn_pass(rc);
	if (use != MSN_STORE_CREATE && stat(cli->store_path, &st) != 0 &&
	    errno == ENOENT)
		return msn_failure_set(
			&cli->why, -ENOENT, MSN_FAILURE_NOT_FOUND,
			"there is no store at '%s'; 'memsnap capture' makes one",
			cli->store_path);
	return msn_pass(
		msn_store_open(out,
			       &(struct msn_store_opts){
				       .path = cli->store_path,
				       .create = use == MSN_STORE_CREATE,
				       .read_only = use == MSN_STORE_READ,
				       .aio = MSN_AIO_AUTO,
			       },
			       &cli->why));
}

int msn_refs_find(struct msn_cli *cli, struct msn_store *store, const char *ref,
		  struct msn_uid *out)
{
	return msn_pass(msn_store_find(store, ref, out, &cli->why));
}

int msn_refs_info(struct msn_cli *cli, struct msn_store *store, const char *ref,
		  struct msn_snapshot_info *out)
{
	struct msn_uid uid;
	int rc;

	rc = msn_refs_find(cli, store, ref, &uid);
	if (rc)
		return msn_pass(rc);
	return msn_pass(msn_store_info(store, uid, out, &cli->why));
}

int msn_refs_load(struct msn_cli *cli, struct msn_store *store, const char *ref,
		  struct msn_manifest **out)
{
	struct msn_uid uid;
	int rc;

	rc = msn_refs_find(cli, store, ref, &uid);
	if (rc)
		return msn_pass(rc);
	return msn_pass(msn_store_load(store, uid, out, &cli->why));
}

/* How many bits a unit shifts by; -1 for a word that is none. */
static int unit_shift(const char *unit)
{
	static const char letters[] = "KMGT";
	const char *at;

	if (!*unit)
		return 0;
	at = unit[1] ? NULL : strchr(letters, *unit);
	return at ? 10 * (int)(at - letters + 1) : -1;
}

int msn_refs_number(struct msn_cli *cli, const char *what, const char *text,
		    bool sizes, uint64_t *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = text + (hex ? 2 : 0);
	size_t len =
		strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	int shift = sizes ? unit_shift(digits + len) : 0;
	uint64_t value;

	errno = 0;
	value = strtoull(digits, NULL, hex ? 16 : 10);
	if (!len || shift < 0 || (!sizes && digits[len]))
		return msn_failure_set(
			&cli->why, -EINVAL, MSN_FAILURE_INVALID,
			"%s '%s' is no number: write decimal, or 0x and hex",
			what, text);
	if (errno == ERANGE || value > UINT64_MAX >> shift)
		return msn_failure_set(&cli->why, -ERANGE, MSN_FAILURE_INVALID,
				       "%s '%s' is too large", what, text);
	*out = value << shift;
	return 0;
}

int msn_refs_pid(struct msn_cli *cli, const char *text, pid_t *out)
{
	uint64_t value;

	if (!*text || text[strspn(text, "0123456789")] ||
	    (value = strtoull(text, NULL, 10)) == 0)
		return msn_failure_set(&cli->why, -EINVAL, MSN_FAILURE_INVALID,
				       "'%s' is no process id", text);
	if (value > INT_MAX || (kill((pid_t)value, 0) != 0 && errno == ESRCH))
		return msn_failure_set(&cli->why, -ESRCH, MSN_FAILURE_NOT_FOUND,
				       "there is no process %s", text);
	*out = (pid_t)value;
	return 0;
}
