/* Rows of small whole numbers; see codes.h.
 *
 * The proof (in prose: docs/KERNELS.md); notation of kernel.c and int8.c. Rows are not turned: y is the mapped row itself, c its codes,
 * |c| <= 127, s its scale, a = s |c|, r = |y - s c| as it is, measured.
 * 1. <y_i,y_j> = s_i s_j <c_i,c_j> + a rest of at most a_i r_j + r_i a_j + r_i r_j.
 * 2. <c_i,c_j> is exact: a sum of D products of (c + 128) and c is at most D * 255 * 127 < 2^31 for D <= 65536. The product with
 * both scales, in float64, is off by 2 w a_i a_j at most.
 * 3. So e_i = (l a_i^2 + r_i^2 / l + r_i^2 + 4 w a_i^2) / 2, with l as in int8.c. |c|^2 is exact. A scale has 16 bits, so s c is exact in
 * float32; y - s c, its square and the sum of the squares, of which each passes D / 16 + 18 additions, are off by (D / 16 + 21) u,
 * relative, and by 2^-126 for each term that is flushed. D / 16 u < 2^-11: a factor 1 + 2^-10 takes that.
 * 4. The windows are as wide as the first stage's error e needs: every bound moves inward by e_i less this, of both rows, which
 * may be outward. slack is a float32 below that difference. */
#include "kernel/codes.h"

#include "metric/isa.h"

#include <math.h>

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LARGEST = 127, HEADER = sizeof(trm_coded), LANES = 16 };

double trm_codes_ratio(int dim, int largest)
{
    return sqrt(2.0 * log(1.0 + dim) / 12.0) / largest;
}

/* ---- codes of a row ---- */

INLINE float largest_of(const float *y, int dim)
{
    float most[LANES] = {0.0F};
    int k = 0;
    for (; k + LANES <= dim; k += LANES)
        for (int i = 0; i < LANES; i++)
            most[i] = fabsf(y[k + i]) > most[i] ? fabsf(y[k + i]) : most[i];
    for (int i = 0; k < dim; k++, i++)
        most[i] = fabsf(y[k]) > most[i] ? fabsf(y[k]) : most[i];
    for (int i = 1; i < LANES; i++)
        most[0] = most[i] > most[0] ? most[i] : most[0];
    return most[0];
}

/* A number of 16 bits, at least most / LARGEST; 0: that is so small that the row is not worth it. */
INLINE float scale_for(float most)
{
    uint32_t bits;
    float scale = most / LARGEST;
    memcpy(&bits, &scale, sizeof bits);
    bits = (bits | 0xFFU) + 1U; /* beyond the rounding of the quotient */
    memcpy(&scale, &bits, sizeof bits);
    return scale >= 0x1p-60F ? scale : 0.0F;
}

typedef struct sums {
    float rest2[LANES];
    int32_t sum[LANES], sum2[LANES];
} sums;

/* One coordinate, in lane i. Adding a number whose last place is 1 rounds. */
INLINE void code_one(float y, float scale, float inverse, int i, int8_t *code, sums *s)
{
    const float ones = 0x1.8p23F, c = (y * inverse + ones) - ones, rest = y - scale * c;
    const int32_t whole = (int32_t)c;
    *code = (int8_t)whole;
    s->sum[i] += whole;
    s->sum2[i] += whole * whole;
    s->rest2[i] += rest * rest;
}

/* Codes of a row of finite numbers; gives what it is known by but for its slack, and its part of the error of a product. */
INLINE trm_coded code_body(const float *y, int dim, int8_t *code, double *error)
{
    const float scale = scale_for(largest_of(y, dim)), inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
    sums s = {{0.0F}, {0}, {0}};
    int k = 0;
    for (; k + LANES <= dim; k += LANES)
        for (int i = 0; i < LANES; i++)
            code_one(y[k + i], scale, inverse, i, code + k + i, &s);
    for (int i = 0; k < dim; k++, i++)
        code_one(y[k], scale, inverse, i, code + k, &s);
    trm_coded coded = {.scale = scale};
    int64_t sum2 = 0;
    double rest2 = 0.0;
    for (int i = 0; i < LANES; i++) {
        coded.sum += s.sum[i];
        sum2 += s.sum2[i];
        rest2 += (double)s.rest2[i];
    }
    const double length2 = (double)scale * (double)scale * (double)sum2;
    const double ratio = trm_codes_ratio(dim, LARGEST);
    *error = (ratio * length2 + rest2 / ratio + rest2 + 4.0 * 0x1p-53 * length2) / 2.0 * (1.0 + 0x1p-10) +
             (dim + 16.0) * 0x1p-116;
    return coded;
}

typedef trm_coded coder(const float *y, int dim, int8_t *code, double *error);

static trm_coded code_portable(const float *y, int dim, int8_t *code, double *error)
{
    return code_body(y, dim, code, error);
}

#if TRM_HAVE_X86
TRM_TARGET_AVX2 static trm_coded code_avx2(const float *y, int dim, int8_t *code, double *error)
{
    return code_body(y, dim, code, error);
}

TRM_TARGET_AVX512 static trm_coded code_avx512(const float *y, int dim, int8_t *code, double *error)
{
    return code_body(y, dim, code, error);
}
#endif

static coder *coder_get(void)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    return isa == TRM_ISA_AVX512 ? code_avx512 : isa >= TRM_ISA_AVX2 ? code_avx2 : code_portable;
#else
    return code_portable;
#endif
}

void trm_codes_put(trm_block *block, int64_t row, double n, double error)
{
    const int64_t stride = trm_codes_stride(block->map.dim);
    const int dim = block->map.dim;
    uint8_t *to = (uint8_t *)block->codes + row * stride;
    double of_codes = INFINITY; /* what is not finite, or can't be coded, survives */
    trm_coded coded = {.scale = 0.0F};
    memset(to, 0, (size_t)stride);
    if (n <= 0x1p96)
        coded = coder_get()(block->mapped + row * dim, dim, (int8_t *)to + HEADER, &of_codes);
    const double slack = error - of_codes;
    coded.slack = (float)(slack - fabs(slack) * 0x1p-20);
    memcpy(to, &coded, sizeof coded);
}

/* ---- products ---- */

static int32_t product_portable(const uint8_t *x, const uint8_t *y, int64_t stride)
{
    int32_t sum = 0;
    for (int64_t k = HEADER; k < stride; k++)
        sum += (int8_t)x[k] * (int8_t)y[k];
    return sum;
}

#if TRM_HAVE_X86
/* Sixteen codes, as 16 bits each. */
#define WIDE(at) _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(const void *)(at)))

TRM_TARGET_AVX2 static int32_t product_avx2(const uint8_t *x, const uint8_t *y, int64_t stride)
{
    __m256i s0 = _mm256_madd_epi16(WIDE(x + 16), WIDE(y + 16)),
            s1 = _mm256_madd_epi16(WIDE(x + 32), WIDE(y + 32));
    s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(WIDE(x + 48), WIDE(y + 48)));
    for (int64_t k = 64; k < stride; k += 32) {
        s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(WIDE(x + k), WIDE(y + k)));
        s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(WIDE(x + k + 16), WIDE(y + k + 16)));
    }
    s0 = _mm256_add_epi32(s0, s1);
    __m128i h = _mm_add_epi32(_mm256_castsi256_si128(s0), _mm256_extracti128_si256(s0, 1));
    h = _mm_add_epi32(h, _mm_shuffle_epi32(h, _MM_SHUFFLE(1, 0, 3, 2)));
    h = _mm_add_epi32(h, _mm_shuffle_epi32(h, _MM_SHUFFLE(2, 3, 0, 1)));
    return _mm_cvtsi128_si32(h);
}
#undef WIDE

#define LINE_AT(at) _mm512_load_si512((const void *)(at))

/* Flipping the first bit of a byte adds 128 to a signed number and makes it one without a sign. */
TRM_TARGET_VNNI static int32_t product_vnni(const uint8_t *x, const uint8_t *y, int64_t stride)
{
    const __m512i flip = _mm512_set1_epi8((char)-128), header = _mm512_zextsi128_si512(_mm_set1_epi8(-1));
    __m512i s0 = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_xor_si512(LINE_AT(x), flip),
                                     _mm512_andnot_si512(header, LINE_AT(y))),
            s1 = _mm512_setzero_si512();
    int64_t k = 64;
    for (; k + 128 <= stride; k += 128) {
        s0 = _mm512_dpbusd_epi32(s0, _mm512_xor_si512(LINE_AT(x + k), flip), LINE_AT(y + k));
        s1 = _mm512_dpbusd_epi32(s1, _mm512_xor_si512(LINE_AT(x + k + 64), flip), LINE_AT(y + k + 64));
    }
    if (k < stride)
        s0 = _mm512_dpbusd_epi32(s0, _mm512_xor_si512(LINE_AT(x + k), flip), LINE_AT(y + k));
    return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1)) - 128 * trm_coded_of(y).sum;
}
#undef LINE_AT
#endif

trm_codes_product *trm_codes_product_get(void)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    if (isa == TRM_ISA_AVX512 && trm_isa_cpu_has_avx512_vnni())
        return product_vnni;
    if (isa >= TRM_ISA_AVX2)
        return product_avx2;
#endif
    return product_portable;
}
