/*
 * What the host says about huge pages of shared memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Two settings in sysfs decide (Documentation/admin-guide/mm/transhuge.rst of
 * the kernel): one for all sizes, and since Linux 6.11 one for each size, which
 * may say "inherit".  In each the word that holds stands in brackets.  "force"
 * and "deny" of the first are for testing and stand above the second.
 */
#include "memfile/memfile_internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define THP "/sys/kernel/mm/transparent_hugepage/"

/* Is @word the one in brackets? */
static bool chosen(const char *setting, const char *word)
{
	size_t len = strlen(word);
	const char *at = strchr(setting, '[');

	return at && strncmp(at + 1, word, len) == 0 && at[1 + len] == ']';
}

/* Does the setting give huge pages to memory that is advised to use them? */
static bool gives(const char *setting)
{
	return chosen(setting, "always") || chosen(setting, "within_size") ||
	       chosen(setting, "advise");
}

bool msn_huge_is_given(const char *shmem_enabled, const char *of_size)
{
	if (chosen(shmem_enabled, "force"))
		return true;
	if (chosen(shmem_enabled, "deny"))
		return false;
	if (strchr(of_size, '[') && !chosen(of_size, "inherit"))
		return gives(of_size);
	return gives(shmem_enabled);
}

/* The text of a small file; empty if there is none. */
static void read_setting(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = '\0';
}

enum msn_memfile_huge_state msn_memfile_huge_state(struct msn_memfile *mf)
{
	char all[128], of_size[128];

	if (mf->huge == MSN_MEMFILE_HUGE_OFF)
		return MSN_MEMFILE_HUGE_NOT_WANTED;
	read_setting(THP "shmem_enabled", all, sizeof(all));
	read_setting(THP "hugepages-2048kB/shmem_enabled", of_size,
		     sizeof(of_size));
	return msn_huge_is_given(all, of_size) ? MSN_MEMFILE_HUGE_GIVEN
					       : MSN_MEMFILE_HUGE_REFUSED;
}
