/*
 * Fixed-size numbers in stored bytes: little-endian, at any alignment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_FORMAT_WIRE_H
#define MSN_FORMAT_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void msn_put16(uint8_t *at, uint16_t v)
{
	v = htole16(v);
	memcpy(at, &v, sizeof(v));
}

static inline void msn_put32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

static inline void msn_put64(uint8_t *at, uint64_t v)
{
	v = htole64(v);
	memcpy(at, &v, sizeof(v));
}

static inline uint16_t msn_get16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return le16toh(v);
}

static inline uint32_t msn_get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static inline uint64_t msn_get64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

#endif /* MSN_FORMAT_WIRE_H */
