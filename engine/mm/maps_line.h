/*
 * One line of a maps listing, byte for byte as Linux prints it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Form: fs/proc/task_mmu.c of Linux, show_map_vma().
 */
#ifndef MSN_MM_MAPS_LINE_H
#define MSN_MM_MAPS_LINE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msn_maps_line {
	uint64_t start, end, offset, inode;
	unsigned perms; /* enum msn_access */
	bool shared;
	uint32_t dev_major, dev_minor;
	const char *name; /* "" shows nothing */
};

/* Room that any line needs: numbers, padding, name and newline. */
#define MSN_MAPS_LINE_MAX (128 + 4 * 4112)

/* Writes the line with its newline; returns its length.  Newlines in a name
 * are shown as \012. */
size_t msn_maps_line(char *out, size_t size, const struct msn_maps_line *line);

#endif /* MSN_MM_MAPS_LINE_H */
