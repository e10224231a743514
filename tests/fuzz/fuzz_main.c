/*
 * Runs a fuzz target over the files of a folder: how the kept corpus is tested
 * without a fuzzer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool run_file(int dir, const char *name)
{
	msn_auto(msn_freep) char *bytes = NULL;
	size_t len;

	if (msn_read_file(&bytes, &len, dir, name, 1 << 24)) {
		fprintf(stderr, "cannot read %s\n", name);
		return false;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)bytes, len);
	return true;
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	unsigned count = 0;
	struct dirent *e;

	if (!dir) {
		fprintf(stderr, "usage: %s <folder>\n", argv[0]);
		return 2;
	}
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.' && run_file(dirfd(dir), e->d_name))
			count++;
	closedir(dir);
	printf("%u inputs\n", count);
	return count ? 0 : 1;
}
