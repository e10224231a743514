/*
 * The bytes of packs, at fixed offsets.  See docs/formats/pack.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pack/pack_format.h"

#include "base/assert.h"
#include "digest/digest.h"
#include "format/wire.h"
#include "range/range.h"

#include <string.h>

#define PACK_MAGIC "MSNPACK"
#define FRAME_MAGIC "MSNFRAME"
#define MAGIC_LEN 8

/* Both headers end with the digest of all bytes before it. */
#define SUM_AT (MSN_PAGE_SIZE - 8)

enum pack_at {
	PACK_AT_VERSION = 8,
	PACK_AT_STORE = 16,
	PACK_AT_ID = 32,
	PACK_AT_GENERATION = 40,
};

enum frame_at {
	FRAME_AT_KIND = 8,
	FRAME_AT_CODEC = 9,
	FRAME_AT_COUNT = 10,
	FRAME_AT_PAGE = 12,
	FRAME_AT_PACK = 16,
	FRAME_AT_GENERATION = 24,
	FRAME_AT_SNAPSHOT = 32,
	FRAME_AT_SEQUENCE = 48,
	FRAME_AT_MANIFEST_BYTES = 56,
	FRAME_AT_MANIFEST_SUM = 64,
	FRAME_AT_SUMS = 72,
};

static void seal(uint8_t *page)
{
	msn_put64(page + SUM_AT, msn_digest_bytes(page, SUM_AT));
}

static bool is_sealed(const uint8_t *page, const char *magic)
{
	return memcmp(page, magic, MAGIC_LEN) == 0 &&
	       msn_get64(page + SUM_AT) == msn_digest_bytes(page, SUM_AT);
}

void msn_pack_header_encode(const struct msn_pack_header *h, uint8_t *page)
{
	memset(page, 0, MSN_PAGE_SIZE);
	memcpy(page, PACK_MAGIC, MAGIC_LEN);
	msn_put32(page + PACK_AT_VERSION, MSN_PACK_VERSION);
	memcpy(page + PACK_AT_STORE, h->store.bytes, sizeof(h->store.bytes));
	msn_put64(page + PACK_AT_ID, h->id);
	msn_put64(page + PACK_AT_GENERATION, h->generation);
	seal(page);
}

int msn_pack_header_decode(struct msn_pack_header *h, const uint8_t *page)
{
	if (!is_sealed(page, PACK_MAGIC))
		return MSN_PACK_E_DAMAGED;
	if (msn_get32(page + PACK_AT_VERSION) > MSN_PACK_VERSION)
		return MSN_PACK_E_NEWER;
	memcpy(h->store.bytes, page + PACK_AT_STORE, sizeof(h->store.bytes));
	h->id = msn_get64(page + PACK_AT_ID);
	h->generation = msn_get64(page + PACK_AT_GENERATION);
	return 0;
}

void msn_frame_header_encode(const struct msn_frame_header *h, uint8_t *page)
{
	msn_assert(h->count > 0 && h->count <= MSN_FRAME_PAGES_MAX);
	memset(page, 0, MSN_PAGE_SIZE);
	memcpy(page, FRAME_MAGIC, MAGIC_LEN);
	page[FRAME_AT_KIND] = (uint8_t)h->kind;
	msn_put16(page + FRAME_AT_COUNT, (uint16_t)h->count);
	msn_put32(page + FRAME_AT_PAGE, h->page);
	msn_put64(page + FRAME_AT_PACK, h->pack_id);
	msn_put64(page + FRAME_AT_GENERATION, h->generation);
	memcpy(page + FRAME_AT_SNAPSHOT, h->snapshot.bytes,
	       sizeof(h->snapshot.bytes));
	msn_put64(page + FRAME_AT_SEQUENCE, h->sequence);
	msn_put64(page + FRAME_AT_MANIFEST_BYTES, h->manifest_bytes);
	msn_put64(page + FRAME_AT_MANIFEST_SUM, h->manifest_sum);
	for (unsigned i = 0; i < h->count; i++)
		msn_put64(page + FRAME_AT_SUMS + 8 * i, h->sums[i]);
	seal(page);
}

int msn_frame_header_decode(struct msn_frame_header *h, const uint8_t *page)
{
	unsigned count;

	if (!is_sealed(page, FRAME_MAGIC))
		return MSN_PACK_E_DAMAGED;
	/* A codec or kind that this program does not know is a later one's. */
	if (page[FRAME_AT_CODEC] || page[FRAME_AT_KIND] < MSN_FRAME_PAGES ||
	    page[FRAME_AT_KIND] > MSN_FRAME_MANIFEST)
		return MSN_PACK_E_NEWER;
	count = msn_get16(page + FRAME_AT_COUNT);
	if (count == 0 || count > MSN_FRAME_PAGES_MAX)
		return MSN_PACK_E_DAMAGED;
	h->kind = (enum msn_frame_kind)page[FRAME_AT_KIND];
	h->count = count;
	h->page = msn_get32(page + FRAME_AT_PAGE);
	h->pack_id = msn_get64(page + FRAME_AT_PACK);
	h->generation = msn_get64(page + FRAME_AT_GENERATION);
	memcpy(h->snapshot.bytes, page + FRAME_AT_SNAPSHOT,
	       sizeof(h->snapshot.bytes));
	h->sequence = msn_get64(page + FRAME_AT_SEQUENCE);
	h->manifest_bytes = msn_get64(page + FRAME_AT_MANIFEST_BYTES);
	h->manifest_sum = msn_get64(page + FRAME_AT_MANIFEST_SUM);
	for (unsigned i = 0; i < MSN_FRAME_PAGES_MAX; i++)
		h->sums[i] = msn_get64(page + FRAME_AT_SUMS + 8 * i);
	return 0;
}
