/*
 * Every bound of the program, each with its reason.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_BASE_LIMITS_H
#define MSN_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* Text of a mapping: PATH_MAX of Linux plus " (deleted)". */
#define MSN_MAPPING_NAME_MAX 4112

/* A snapshot's name: one label of a DNS name, so that it fits everywhere. */
#define MSN_SNAPSHOT_NAME_MAX 63

/* Shortest unique prefix of a uid that is taken for a reference. */
#define MSN_UID_PREFIX_MIN 4

/*
 * One opaque state blob.  A VMM's device state is a few MiB; 64 MiB bounds what
 * a reader must be ready to hold.
 */
#define MSN_BLOB_BYTES_MAX (UINT64_C(64) << 20)
#define MSN_BLOB_COUNT_MAX 1024
#define MSN_BLOB_NAME_MAX 255

/*
 * An encoded manifest.  8 bytes a page in the worst case of one-page runs: 32
 * GiB of memory in which every other page is private and none touch.
 */
#define MSN_MANIFEST_BYTES_MAX (UINT64_C(64) << 20)

/* Mappings of one space: twenty times the default of vm.max_map_count. */
#define MSN_MAPPING_COUNT_MAX 1310600

/* Labels and attributes of a snapshot. */
#define MSN_LABEL_COUNT_MAX 256
#define MSN_LABEL_BYTES_MAX 4096

/* Threads of a captured process: what one core file can name (32-bit LWPs). */
#define MSN_THREAD_COUNT_MAX 65536

/*
 * Window through which a file's pages are reached inside this process: large
 * enough that a space of many GiB needs few kernel mappings.
 */
#define MSN_WINDOW_BYTES (UINT64_C(1) << 30)

/*
 * Windows onto host files, of one and of all: 4 and 8 TiB of the 128 TiB of
 * addresses that a process has, an eighth of the mappings that Linux allows.
 */
#define MSN_HOSTFILE_WINDOWS_MAX 4096
#define MSN_HOSTFILE_WINDOWS_TOTAL 8192

/*
 * A long buffered read goes in pieces of this size, so many at a time: smaller
 * or fewer leave a disk idle, larger or more gain nothing (bench hostfile).
 */
#define MSN_HOSTFILE_PIECE ((size_t)256 << 10)
#define MSN_HOSTFILE_DEPTH 32

/*
 * Bytes of one host file kept because writing them failed; past it a store is
 * refused.  What a sandbox can dirty before it notices that its disk is gone.
 */
#define MSN_HOSTFILE_KEPT_BYTES (UINT64_C(64) << 20)

/*
 * Pages of a memory file without references whose memory has not been given
 * back yet.  A host gives back about 4 GiB a second, so this is what a
 * releaser that just fell behind has done in a quarter of one; whoever drops
 * more helps.
 */
#define MSN_WASTE_BYTES_MAX (UINT64_C(1) << 30)

/*
 * The same without a releaser: as much as one recycling may take
 * (MSN_RECYCLE_BYTES_MAX), so that memory that is dropped and wanted again by
 * turns stays, and little more.
 */
#define MSN_WASTE_BYTES_KEPT (UINT64_C(2) << 20)

/*
 * Largest allocation that takes pages over by zeroing them.  Who asks for no
 * more is likely to write all of it; larger ones are reservations, of which
 * most is never touched.
 */
#define MSN_RECYCLE_BYTES_MAX (UINT64_C(2) << 20)

/*
 * Memory that is given back by one system call: some 30 ms, during which the
 * kernel lets nobody else give back or look for data.
 */
#define MSN_PUNCH_BYTES_MAX (UINT64_C(128) << 20)

/* Requests in flight of one aio: past 8 of 1 MiB a disk gets no faster. */
#define MSN_AIO_DEPTH_DEFAULT 32
#define MSN_AIO_DEPTH_MAX 1024

/*
 * Places that a save remembers to find equal pages by: 20 MiB of table, the
 * pages of 2 GiB.  Past that old ones are forgotten, which only costs space.
 */
#define MSN_DEDUP_SLOTS (UINT32_C(1) << 19)

/*
 * What a service says about a snapshot: labels of some KiB, holds, a few
 * texts.  It is read with every listing.
 */
#define MSN_NOTE_BYTES_MAX ((size_t)16 << 10)

/*
 * One record of a service: a request's answer, an operation, an event.  A key
 * has room for an owner and an id of 32 digits.
 */
#define MSN_RECORD_KEY_MAX 64
#define MSN_RECORD_BYTES_MAX ((size_t)64 << 10)

#endif /* MSN_BASE_LIMITS_H */
