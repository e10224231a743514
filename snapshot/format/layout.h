/*
 * Sizes of the stored form that extents obey.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A pack is a file of MSN_PACK_PAGES pages: its header, then frames.  A frame
 * is a header page and up to MSN_FRAME_PAGES_MAX pages behind it, so that a
 * full one is 64 pages, 256 KiB.  docs/formats/pack.md has the bytes.
 */
#ifndef MSN_FORMAT_LAYOUT_H
#define MSN_FORMAT_LAYOUT_H

#define MSN_PACK_PAGES 16384
#define MSN_FRAME_PAGES_MAX 63

#endif /* MSN_FORMAT_LAYOUT_H */
