/*
 * Makes what a newer program would leave behind: make_newer WHAT STORE
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * "marker": the store's own version becomes a later one, with the right sum.
 * "manifest": adds the empty snapshot "newer", whose manifest says so.  For the
 * latter, the linker puts the encoder below in front of the real one.
 */
#include "base/alloc.h"
#include "base/fd.h"
#include "digest/digest.h"
#include "format/manifest.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEWER 9

int __real_msn_manifest_encode(const struct msn_manifest *m, uint8_t **out,
			       size_t *len);
int __wrap_msn_manifest_encode(const struct msn_manifest *m, uint8_t **out,
			       size_t *len);

/* Field 1, a varint, is the version and stands first. */
int __wrap_msn_manifest_encode(const struct msn_manifest *m, uint8_t **out,
			       size_t *len)
{
	int rc = __real_msn_manifest_encode(m, out, len);

	if (rc)
		return rc;
	if (*len < 2 || (*out)[0] != 0x08)
		return -EPROTO;
	(*out)[1] = NEWER;
	return 0;
}

static int fail(const char *what)
{
	fprintf(stderr, "make_newer: %s\n", what);
	return 1;
}

static int newer_manifest(const char *path)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	msn_auto(msn_writer_freep) struct msn_writer *w = NULL;
	struct msn_failure why = {};

	if (msn_manifest_new(&m))
		return fail("out of memory");
	free(m->name);
	m->name = msn_strdup("newer");
	m->uid = msn_uid_new();
	m->created_ns = INT64_MAX;
	if (!m->name ||
	    msn_store_open(&store, &(struct msn_store_opts){ .path = path },
			   &why) ||
	    msn_writer_begin(&w, store, m, &why) ||
	    msn_writer_commit(w, NULL, NULL, &why))
		return fail(why.text);
	return 0;
}

static int newer_marker(const char *path)
{
	msn_auto(msn_freep) char *file = msn_format("%s/memsnap-store", path);
	msn_auto(msn_freep) char *text = NULL;
	msn_auto(msn_closep) int fd = -1;
	char *version, *sum;

	if (!file || msn_read_file(&text, NULL, AT_FDCWD, file, 4096))
		return fail("cannot read the marker");
	version = strstr(text, "\nformat 1\n");
	sum = strstr(text, "\nsum ");
	if (!version || !sum)
		return fail("the marker is not of format 1");
	version[strlen("\nformat ")] = '0' + NEWER;
	sum++;
	snprintf(sum, strlen(sum) + 1, "sum %016" PRIx64 "\n",
		 msn_digest_bytes(text, (size_t)(sum - text)));
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || msn_pwrite_full(fd, text, strlen(text), 0))
		return fail("cannot write the marker");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "manifest") == 0)
		return newer_manifest(argv[2]);
	if (argc == 3 && strcmp(argv[1], "marker") == 0)
		return newer_marker(argv[2]);
	return fail("usage: make_newer marker|manifest STORE");
}
