/* Kernel "int8": rows are turned at random, so that no coordinate stands out, and each is rounded to multiples of its
 * own scale, small whole numbers whose products are exact. The first stage multiplies those; the second is a float32
 * dot for each pair that is left. It rules out by both ends of a window.
 *
 * The proof (in prose: docs/KERNELS.md); notation of kernel.c.
 * R: an orthogonal matrix, v the computed R y, c the codes of a row, s its scale, a
 * float32, a = s |c|, r = |v - s c| as it is, measured.
 * 1. R is a product of at most two steps, each random signs and a Hadamard matrix over a power of two of
 * coordinates, divided by its root, in float64. A step passes log2(D) <= 16 sums and one product by a constant that is off
 * by w: in norm (1 + w)^18 at most. So |v - R y| <= 2^-45 |y|, and |<v_i,v_j> - <y_i,y_j>| <= 2^-43 |y_i||y_j|.
 * 2. <v_i,v_j> = s_i s_j <c_i,c_j> + a rest of at most a_i r_j + r_i a_j + r_i r_j.
 * 3. <c_i,c_j> is exact: with |c| <= 63 a sum of four products of (c + 64) and c is at most 4 * 127 * 63 < 2^15, so 16 bits
 * don't saturate; with |c| <= 127 a sum of D products of (c + 128) and c is at most D * 255 * 127 < 2^31 for D <= 65536.
 * Scales are 0, or between 2^-60 and 2^48, so s_i s_j is not flushed. It, the number as a float32, and their product
 * are rounded: the computed g is off by 4 u a_i a_j at most.
 * 4. With |x||y| <= (l x^2 + y^2 / l) / 2 for any l > 0, and l the same for all rows, about r / a, all of this is at most e_i
 * + e_j, e_i = (l a_i^2 + r_i^2 / l + r_i^2 + 4 u a_i^2 + 2^-43 n_i) / 2. a and r are measured in float64, off by less than
 * 2^-30, relative: a factor 1 + 2^-20 on the sum takes that.
 *
 * Kernel "prefix8": the same of the leading coordinates that prefix.c has, z^, and of the norm of the rest, s.
 * 5. With z^ for y, 1. to 4. hold: <z^_i,z^_j> is off by e_i + e_j. The coordinates stay in float64, so |h| of prefix.c, 3.,
 * is less than there, and <z^_i,z^_j> + s_i s_j is at least <y_i,y_j> less what trm_prefix_rest says.
 * 6. s_i s_j is added in float32, fused or not: two more roundings, of s_i s_j and of the sum, which is at most (1 + 8 u)(a_i a_j
 * + s_i s_j), a <= (1 + 2^-20)|z^| + r: less than 6 u / 2 times (|z^|^2 + s^2)(1 + 2^-20) of each row. */
#include "base/alloc.h"
#include "base/random.h"
#include "kernel/codes.h"
#include "kernel/pairs.h"
#include "kernel/prefix.h"
#include "kernel/scan.h"
#include "kernel/strips.h"
#include "metric/isa.h"

#include <math.h>
#include <string.h>

/* Layout: groups of 48 rows, and columns of 48 words of four bytes each: the scales as floats; for each row what its
 * products as a column are too large by, as it is added, a whole number; then four codes a word, and the same codes as
 * rows have them, with an offset that makes them positive. */
#define INLINE static inline __attribute__((always_inline))

enum { GROUP = TRM_TILE_ALIGN, SCALE = 0, TOO_LARGE = 1, CODES = 2, LANES = 8 };

typedef struct form {
    int strip, largest; /* codes are -largest to largest; rows add largest + 1 */
    trm_strip_kernel *multiply;
} form;

static int least(int64_t a, int64_t b)
{
    return (int)(a < b ? a : b);
}

/* Words of four codes; an even number, since AVX2 takes two at a time. */
static inline int words_of(int dim)
{
    return (dim + 7) / 8 * 2;
}

static int columns(int dim, int width)
{
    (void)width;
    return CODES + 2 * words_of(dim);
}

/* With the norm of the rest behind them. */
static int columns_leading(int dim, int width)
{
    (void)dim;
    return CODES + 2 * words_of(width) + 1;
}

/* The portable form is for tests. */
static bool promising(void)
{
    return trm_isa_get() != TRM_ISA_PORTABLE;
}

static int32_t product4(const float *a, const float *b)
{
    uint8_t x[4];
    int8_t y[4];
    memcpy(x, a, 4);
    memcpy(y, b, 4);
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + x[3] * y[3];
}

static uint32_t micro_portable(const float *a, const float *b, int words, trm_edges e, float *out)
{
    enum { STRIP = 4 };
    uint32_t rows = 0;
    for (int i = 0; i < STRIP; i++) {
        for (int j = 0; j < GROUP; j++) {
            int32_t sum;
            memcpy(&sum, b + TOO_LARGE * GROUP + j, sizeof sum);
            for (int k = 0; k < words; k++)
                sum += product4(a + (CODES + words + k) * GROUP + i, b + (CODES + k) * GROUP + j);
            const float whole = (float)sum * (a[i] * b[j]),
                        g = e.row_rest != NULL ? whole + e.row_rest[i] * e.col_rest[j] : whole;
            const float by_row = e.row_near[i] + e.col_term[j], by_col = e.col_near[j] + e.row_term[i];
            rows |= (uint32_t) !(g <= (by_row < by_col ? by_row : by_col)) << i;
            out[i * GROUP + j] = g;
        }
    }
    return rows;
}

static const form form_portable = {4, 63, micro_portable};

#if TRM_HAVE_X86
#define EACH_OF_4(DO) DO(0) DO(1) DO(2) DO(3)

/* Eight columns: what their windows and scales are. */
typedef struct eight {
    __m256 near, term, scale;
} eight;

TRM_TARGET_AVX2 INLINE eight load_eight(trm_edges e, const float *col_scale, int j)
{
    return (eight){_mm256_loadu_ps(e.col_near + j), _mm256_loadu_ps(e.col_term + j),
                   _mm256_loadu_ps(col_scale + j)};
}

/* What the products of row i with the eight columns from j on leave, a bit each; all of them go to out. */
TRM_TARGET_AVX2 INLINE int test_eight(__m256i sum, trm_edges e, int i, const float *row_scale, eight cols,
                                      int j, float *out)
{
    __m256 g =
        _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(_mm256_broadcast_ss(row_scale + i), cols.scale));
    if (e.row_rest != NULL)
        g = _mm256_fmadd_ps(_mm256_broadcast_ss(e.row_rest + i), _mm256_loadu_ps(e.col_rest + j), g);
    const __m256 bound = _mm256_min_ps(_mm256_add_ps(_mm256_broadcast_ss(e.row_near + i), cols.term),
                                       _mm256_add_ps(cols.near, _mm256_broadcast_ss(e.row_term + i)));
    _mm256_storeu_ps(out + i * GROUP + j, g);
    return _mm256_movemask_ps(_mm256_cmp_ps(g, bound, _CMP_NLE_UQ));
}

/* Four rows by 16 columns; a and b: of the rows' and the columns' first word. */
TRM_TARGET_AVX2 INLINE uint32_t third_avx2(const float *a, const float *b, int words, trm_edges e,
                                           const float *row_scale, const float *col_scale,
                                           const float *too_large, float *out)
{
    const __m256i start0 = _mm256_loadu_si256((const __m256i *)too_large),
                  start1 = _mm256_loadu_si256((const __m256i *)(too_large + LANES)),
                  one = _mm256_set1_epi16(1);
#define START(i) __m256i s##i = start0, t##i = start1;
    EACH_OF_4(START)
#undef START
    for (int k = 0; k < words; k += 2) {
        const __m256i y0 = _mm256_loadu_si256((const __m256i *)b),
                      y1 = _mm256_loadu_si256((const __m256i *)(b + LANES)),
                      z0 = _mm256_loadu_si256((const __m256i *)(b + GROUP)),
                      z1 = _mm256_loadu_si256((const __m256i *)(b + GROUP + LANES));
#define STEP(i)                                                                                              \
    {                                                                                                        \
        const __m256i x = _mm256_castps_si256(_mm256_broadcast_ss(a + (i))),                                 \
                      w = _mm256_castps_si256(_mm256_broadcast_ss(a + GROUP + (i)));                         \
        s##i = _mm256_add_epi32(                                                                             \
            s##i, _mm256_madd_epi16(                                                                         \
                      _mm256_add_epi16(_mm256_maddubs_epi16(x, y0), _mm256_maddubs_epi16(w, z0)), one));     \
        t##i = _mm256_add_epi32(                                                                             \
            t##i, _mm256_madd_epi16(                                                                         \
                      _mm256_add_epi16(_mm256_maddubs_epi16(x, y1), _mm256_maddubs_epi16(w, z1)), one));     \
    }
        EACH_OF_4(STEP)
#undef STEP
        a += 2 * GROUP;
        b += 2 * GROUP;
    }
    const eight c0 = load_eight(e, col_scale, 0), c1 = load_eight(e, col_scale, LANES);
    uint32_t rows = 0;
#define TEST(i)                                                                                              \
    rows |= (uint32_t)((test_eight(s##i, e, i, row_scale, c0, 0, out) |                                      \
                        test_eight(t##i, e, i, row_scale, c1, LANES, out)) != 0)                             \
            << (i);
    EACH_OF_4(TEST)
#undef TEST
    return rows;
}

/* The windows of a group's columns from j on. */
static trm_edges edges_from(trm_edges e, int j)
{
    return (trm_edges){e.row_near,     e.row_term, e.col_near + j,
                       e.col_term + j, e.row_rest, e.col_rest != NULL ? e.col_rest + j : NULL};
}

TRM_TARGET_AVX2 static uint32_t micro_avx2(const float *a, const float *b, int words, trm_edges e, float *out)
{
    enum { THIRD = GROUP / 3 };
    uint32_t rows = 0;
    for (int j = 0; j < GROUP; j += THIRD)
        rows |= third_avx2(a + (CODES + words) * GROUP, b + CODES * GROUP + j, words, edges_from(e, j), a,
                           b + j, b + TOO_LARGE * GROUP + j, out + j);
    return rows;
}

static const form form_avx2 = {4, 63, micro_avx2};

/* What was read from memory before has to be read again. Behind stores of a loop's sums that keeps GCC 12 from storing all of them in every
 * round of the loop, because there are not enough registers after it, which took up to half of the time; and between parts of the
 * same reads, from keeping these in registers that there are not. */
#define READ_AGAIN __asm__ volatile("" ::: "memory")

/* With the instruction that adds four products at once, which CPUs have in one of two encodings: four rows by 24 columns, twelve
 * accumulators, three vectors of columns, one of a row. */
#define ADD_TO(i)                                                                                            \
    x = _mm256_castps_si256(_mm256_broadcast_ss(rows_at + (i)));                                             \
    r##i = DOT(r##i, x, y0);                                                                                 \
    s##i = DOT(s##i, x, y1);                                                                                 \
    t##i = DOT(t##i, x, y2);
#define START(i) __m256i r##i = start0, s##i = start1, t##i = start2;
#define SUM_AT(i, v) ((__m256i *)(void *)(out + (i)*GROUP + j + (v)*LANES))
#define STORE(i)                                                                                             \
    _mm256_storeu_si256(SUM_AT(i, 0), r##i);                                                                 \
    _mm256_storeu_si256(SUM_AT(i, 1), s##i);                                                                 \
    _mm256_storeu_si256(SUM_AT(i, 2), t##i);
#define TEST_OF(i, v) test_eight(_mm256_loadu_si256(SUM_AT(i, v)), part, i, a, c##v, (v)*LANES, out + j)
#define TEST(i) left |= (uint32_t)((TEST_OF(i, 0) | TEST_OF(i, 1) | TEST_OF(i, 2)) != 0) << (i);
#define MICRO_BODY                                                                                           \
    enum { HALF = GROUP / 2 };                                                                               \
    uint32_t left = 0;                                                                                       \
    for (int j = 0; j < GROUP; j += HALF) {                                                                  \
        const float *rows_at = a + (CODES + words) * GROUP, *cols_at = b + CODES * GROUP + j,                \
                    *start = b + TOO_LARGE * GROUP + j;                                                      \
        const trm_edges part = edges_from(e, j);                                                             \
        const __m256i start0 = _mm256_loadu_si256((const __m256i *)start),                                   \
                      start1 = _mm256_loadu_si256((const __m256i *)(start + LANES)),                         \
                      start2 = _mm256_loadu_si256((const __m256i *)(start + 2 * LANES));                     \
        EACH_OF_4(START)                                                                                     \
        for (int k = 0; k < words; k++, rows_at += GROUP, cols_at += GROUP) {                                \
            const __m256i y0 = _mm256_loadu_si256((const __m256i *)cols_at),                                 \
                          y1 = _mm256_loadu_si256((const __m256i *)(cols_at + LANES)),                       \
                          y2 = _mm256_loadu_si256((const __m256i *)(cols_at + 2 * LANES));                   \
            __m256i x;                                                                                       \
            EACH_OF_4(ADD_TO)                                                                                \
        }                                                                                                    \
        EACH_OF_4(STORE)                                                                                     \
        READ_AGAIN;                                                                                          \
        const eight c0 = load_eight(part, b + j, 0), c1 = load_eight(part, b + j, LANES),                    \
                    c2 = load_eight(part, b + j, 2 * LANES);                                                 \
        EACH_OF_4(TEST)                                                                                      \
    }                                                                                                        \
    return left;

#define DOT _mm256_dpbusd_avx_epi32
__attribute__((target("avx2,fma,avxvnni"))) static uint32_t
micro_avxvnni(const float *a, const float *b, int words, trm_edges e, float *out){MICRO_BODY}
#undef DOT

#define DOT _mm256_dpbusd_epi32
TRM_TARGET_VNNI static uint32_t
    micro_vnni_256(const float *a, const float *b, int words, trm_edges e, float *out)
{
    MICRO_BODY
}
#undef DOT
#undef ADD_TO
#undef START
#undef SUM_AT
#undef STORE
#undef TEST_OF
#undef TEST
#undef MICRO_BODY

static const form form_avxvnni = {4, 127, micro_avxvnni}, form_vnni_256 = {4, 127, micro_vnni_256};

#define EACH_OF_8(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

/* All of these are in registers here: GCC 12 else keeps some in memory during the loop before. */
#define ARE_IN_REGISTERS(v)                                                                                  \
    __asm__ volatile(""                                                                                      \
                     : "+v"(v##0), "+v"(v##1), "+v"(v##2), "+v"(v##3), "+v"(v##4), "+v"(v##5), "+v"(v##6),   \
                       "+v"(v##7));

/* Eight rows by 48 columns: 24 accumulators, three vectors of columns, one of a row. The sums turn into products where they are; what
 * the windows of 16 columns are is read once for all rows. leading: with the norms of what is not in the words. */
TRM_TARGET_VNNI INLINE uint32_t vnni_body(const float *a, const float *b, int words, trm_edges e,
                                          bool leading, float *out)
{
    const __m512i start0 = _mm512_loadu_si512(b + TOO_LARGE * GROUP),
                  start1 = _mm512_loadu_si512(b + TOO_LARGE * GROUP + 16),
                  start2 = _mm512_loadu_si512(b + TOO_LARGE * GROUP + 32);
#define START(i) __m512i r##i = start0, s##i = start1, t##i = start2;
    EACH_OF_8(START)
#undef START
    const float *x = a + (CODES + words) * GROUP, *y = b + CODES * GROUP;
    for (int k = 0; k < words; k++) {
        const __m512i y0 = _mm512_loadu_si512(y), y1 = _mm512_loadu_si512(y + 16),
                      y2 = _mm512_loadu_si512(y + 32);
#define STEP(i)                                                                                              \
    {                                                                                                        \
        const __m512i xi = _mm512_castps_si512(_mm512_set1_ps(x[i]));                                        \
        r##i = _mm512_dpbusd_epi32(r##i, xi, y0);                                                            \
        s##i = _mm512_dpbusd_epi32(s##i, xi, y1);                                                            \
        t##i = _mm512_dpbusd_epi32(t##i, xi, y2);                                                            \
    }
        EACH_OF_8(STEP)
#undef STEP
        x += GROUP;
        y += GROUP;
    }
    ARE_IN_REGISTERS(r)
    ARE_IN_REGISTERS(s)
    ARE_IN_REGISTERS(t)
#define START(i) unsigned left##i = 0;
    EACH_OF_8(START)
#undef START
#define TEST(v, i)                                                                                           \
    {                                                                                                        \
        __m512 g = _mm512_mul_ps(_mm512_cvtepi32_ps(v##i), _mm512_mul_ps(_mm512_set1_ps(a[i]), scale));      \
        if (leading)                                                                                         \
            g = _mm512_fmadd_ps(_mm512_set1_ps(e.row_rest[i]), rest, g);                                     \
        const __m512 bound = _mm512_min_ps(_mm512_add_ps(_mm512_set1_ps(e.row_near[i]), term),               \
                                           _mm512_add_ps(_mm512_set1_ps(e.row_term[i]), near));              \
        left##i |= (unsigned)_mm512_cmp_ps_mask(g, bound, _CMP_NLE_UQ);                                      \
        v##i = _mm512_castps_si512(g);                                                                       \
    }
#define TEST_R(i) TEST(r, i)
#define TEST_S(i) TEST(s, i)
#define TEST_T(i) TEST(t, i)
#define SIXTEEN(j, DO)                                                                                       \
    {                                                                                                        \
        const __m512 scale = _mm512_loadu_ps(b + (j)), near = _mm512_loadu_ps(e.col_near + (j)),             \
                     term = _mm512_loadu_ps(e.col_term + (j)),                                               \
                     rest = leading ? _mm512_loadu_ps(e.col_rest + (j)) : scale;                             \
        EACH_OF_8(DO)                                                                                        \
    }
    SIXTEEN(0, TEST_R)
    READ_AGAIN;
    SIXTEEN(16, TEST_S)
    READ_AGAIN;
    SIXTEEN(32, TEST_T)
    uint32_t rows = 0;
#define STORE(i)                                                                                             \
    if (left##i != 0) {                                                                                      \
        rows |= 1U << (i);                                                                                   \
        _mm512_storeu_si512(out + (i)*GROUP, r##i);                                                          \
        _mm512_storeu_si512(out + (i)*GROUP + 16, s##i);                                                     \
        _mm512_storeu_si512(out + (i)*GROUP + 32, t##i);                                                     \
    }
    EACH_OF_8(STORE)
#undef STORE
#undef SIXTEEN
#undef TEST_T
#undef TEST_S
#undef TEST_R
#undef TEST
    return rows;
}

TRM_TARGET_VNNI static uint32_t micro_vnni(const float *a, const float *b, int words, trm_edges e, float *out)
{
    return e.row_rest != NULL ? vnni_body(a, b, words, e, true, out) : vnni_body(a, b, words, e, false, out);
}

static const form form_vnni = {8, 127, micro_vnni};
#endif

/* For this CPU. Blocks that were packed for another are of no use. */
static const form *form_get(void)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    const bool has_512 = trm_isa_cpu_has_avx512_vnni();
    if (isa == TRM_ISA_AVX512 && has_512)
        return &form_vnni;
    if (isa >= TRM_ISA_AVXVNNI && trm_isa_cpu_has_avxvnni())
        return &form_avxvnni;
    if (isa >= TRM_ISA_AVXVNNI && has_512)
        return &form_vnni_256;
    if (isa >= TRM_ISA_AVX2)
        return &form_avx2;
#endif
    return &form_portable;
}

/* ---- turning rows ---- */

/* LANES rows at a time: turned[k * LANES + i] is coordinate k of row i. Loops over lanes are of constant length, so that each
 * is one instruction, or a few. */
INLINE void flip_signs(double *turned, int count, int step)
{
    uint32_t bits[4] = {0};
    for (int k = 0; k < count; k++) {
        if (k % 128 == 0)
            trm_random_bits(15, (uint64_t)step, (uint64_t)k, bits);
        if (bits[k / 32 % 4] >> k % 32 & 1U)
            for (int i = 0; i < LANES; i++)
                turned[k * LANES + i] = -turned[k * LANES + i];
    }
}

/* The Hadamard matrix over count coordinates, a power of two, divided by its root. */
INLINE void hadamard(double *turned, int count)
{
    for (int half = 1; half < count; half *= 2)
        for (int base = 0; base < count; base += 2 * half)
            for (int k = base; k < base + half; k++) {
                double *restrict x = turned + k * LANES, *restrict y = turned + (k + half) * LANES;
                for (int i = 0; i < LANES; i++) {
                    const double sum = x[i] + y[i], difference = x[i] - y[i];
                    x[i] = sum;
                    y[i] = difference;
                }
            }
    const double factor = 1.0 / sqrt(count);
    for (int k = 0; k < count * LANES; k++)
        turned[k] *= factor;
}

/* Where dim is no power of two, over the first coordinates and the last by turns. */
INLINE void turn(double *turned, int dim)
{
    int count = 1;
    while (2 * count <= dim)
        count *= 2;
    const int rest = dim - count, steps = rest > 0 ? 2 : 1;
    for (int step = 0; step < steps; step++) {
        double *part = turned + (step % 2 == 0 ? 0 : rest) * LANES;
        flip_signs(part, count, step);
        hadamard(part, count);
    }
}

/* ---- codes ---- */

/* LANES rows: their scales, and what their codes and the rest of them come to. */
typedef struct coded {
    float scale[LANES];
    double length2[LANES], rest2[LANES];
    int32_t sum[LANES];
} coded;

INLINE void find_scales(const double *turned, int dim, double largest, coded *rows)
{
    double most[LANES] = {0.0};
    for (int k = 0; k < dim; k++)
        for (int i = 0; i < LANES; i++) {
            const double size = fabs(turned[k * LANES + i]);
            most[i] = size > most[i] ? size : most[i];
        }
    for (int i = 0; i < LANES; i++)
        rows->scale[i] = most[i] / largest >= 0x1p-60 ? (float)(most[i] / largest) : 0.0F;
}

/* The code of coordinate k of all rows. Adding a number whose last place is 1 rounds; what can't be compared gets some code. */
INLINE void code_coordinate(const double *turned, const double *inverse, double largest, coded *rows,
                            int32_t *code)
{
    const double ones = 0x1.8p52;
    for (int i = 0; i < LANES; i++) {
        const double v = turned[i], near = (v * inverse[i] + ones) - ones;
        const double below = near < largest ? near : largest, c = below > -largest ? below : -largest;
        const double kept = (double)rows->scale[i] * c;
        code[i] = (int32_t)c;
        rows->sum[i] += code[i];
        rows->length2[i] += kept * kept;
        rows->rest2[i] += (v - kept) * (v - kept);
    }
}

/* The codes of LANES rows of a group from row first on: four coordinates a word, the first in its last byte. */
INLINE void write_codes(const double *turned, int dim, int largest, float *group, int first, coded *rows)
{
    const int words = words_of(dim);
    double inverse[LANES];
    for (int i = 0; i < LANES; i++)
        inverse[i] = rows->scale[i] > 0.0F ? 1.0 / (double)rows->scale[i] : 0.0;
    for (int word = 0; word < words; word++) {
        uint32_t codes[LANES] = {0}, shifted[LANES] = {0};
        for (int k = 4 * word; k < 4 * word + 4 && k < dim; k++) {
            int32_t code[LANES];
            code_coordinate(turned + (int64_t)k * LANES, inverse, largest, rows, code);
            for (int i = 0; i < LANES; i++) {
                codes[i] |= ((uint32_t)code[i] & 255U) << 8 * (k % 4);
                shifted[i] |= (uint32_t)(code[i] + largest + 1) << 8 * (k % 4);
            }
        }
        memcpy(group + (CODES + word) * GROUP + first, codes, sizeof codes);
        memcpy(group + (CODES + words + word) * GROUP + first, shifted, sizeof shifted);
    }
}

/* A row's part of the error of a product, n its squared norm. */
static double error_of(const coded *rows, int i, int dim, int largest, double n)
{
    const double ratio = trm_codes_ratio(dim, largest);
    const double length2 = rows->length2[i], rest2 = rows->rest2[i];
    return (ratio * length2 + rest2 / ratio + rest2 + 4.0 * 0x1p-24 * length2 + 0x1p-43 * n) / 2.0 *
               (1.0 + 0x1p-20) +
           0x1p-120;
}

/* Codes of LANES rows of a group from row first on, of which as many as there are in lanes count, from their coordinates. */
INLINE void code_body(float *group, int first, int lanes, double *coordinates, int dim, int largest,
                      const double *n, double *error)
{
    coded rows = {{0.0F}, {0.0}, {0.0}, {0}};
    turn(coordinates, dim);
    find_scales(coordinates, dim, largest, &rows);
    write_codes(coordinates, dim, largest, group, first, &rows);
    for (int i = 0; i < LANES; i++) {
        const int32_t too_large = -(largest + 1) * rows.sum[i];
        memcpy(group + TOO_LARGE * GROUP + first + i, &too_large, sizeof too_large);
        group[SCALE * GROUP + first + i] = rows.scale[i];
    }
    for (int i = 0; i < lanes; i++) /* what is not finite, or can't be coded, survives */
        error[first + i] = n[first + i] <= 0x1p96 ? error_of(&rows, i, dim, largest, n[first + i]) : INFINITY;
}

typedef void coder(float *group, int first, int lanes, double *coordinates, int dim, int largest,
                   const double *n, double *error);

static void code_portable(float *group, int first, int lanes, double *coordinates, int dim, int largest,
                          const double *n, double *error)
{
    code_body(group, first, lanes, coordinates, dim, largest, n, error);
}

#if TRM_HAVE_X86
TRM_TARGET_AVX2 static void code_avx2(float *group, int first, int lanes, double *coordinates, int dim,
                                      int largest, const double *n, double *error)
{
    code_body(group, first, lanes, coordinates, dim, largest, n, error);
}

TRM_TARGET_AVX512 static void code_avx512(float *group, int first, int lanes, double *coordinates, int dim,
                                          int largest, const double *n, double *error)
{
    code_body(group, first, lanes, coordinates, dim, largest, n, error);
}
#endif

static void code_lanes(float *group, int first, int lanes, double *coordinates, int dim, const double *n,
                       double *error)
{
    coder *code = code_portable;
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    code = isa == TRM_ISA_AVX512 ? code_avx512 : isa >= TRM_ISA_AVX2 ? code_avx2 : code_portable;
#endif
    code(group, first, lanes, coordinates, dim, form_get()->largest, n, error);
}

static void survive(int count, double *error)
{
    for (int i = 0; i < count; i++)
        error[i] = INFINITY;
}

static void encode(trm_block *block, int64_t row, int count, const double *n, double *error)
{
    const int dim = block->map.dim;
    double *x = trm_alloc((int64_t)dim * LANES, sizeof *x);
    if (x == NULL)
        survive(count, error);
    for (int first = 0; first < count && x != NULL; first += LANES) {
        const int lanes = least(count - first, LANES);
        for (int i = 0; i < LANES; i++)
            for (int k = 0; k < dim; k++)
                x[k * LANES + i] = i < lanes ? (double)block->mapped[(row + first + i) * dim + k] : 0.0;
        code_lanes(block->packed + row * block->columns, first, lanes, x, dim, n, error);
    }
    trm_free(x);
}

/* Coordinate k of row i of a group: LANES rows at a time, as turn() has them. */
static double *coordinate(double *z, int width, int i, int k)
{
    return z + (int64_t)(i / LANES) * width * LANES + k * LANES + i % LANES;
}

/* The leading coordinates of a group of rows; gives |z^|^2 of each. */
static void take_coordinates(const trm_block *block, int64_t row, int count, double *z, double *length2)
{
    const int width = block->map.width;
    double chunk[TRM_TILE_ALIGN * TRM_PREFIX_CHUNK];
    for (int first = 0; first < width; first += TRM_PREFIX_CHUNK) {
        const int some = least(width - first, TRM_PREFIX_CHUNK);
        trm_prefix_turn(block, row, count, first, some, chunk);
        for (int i = 0; i < TRM_TILE_ALIGN; i++)
            for (int k = 0; k < some; k++) {
                const double value = i < count ? chunk[i * TRM_PREFIX_CHUNK + k] : 0.0;
                *coordinate(z, width, i, first + k) = value;
                length2[i] += value * value;
            }
    }
}

static void encode_leading(trm_block *block, int64_t row, int count, const double *n, double *error)
{
    const int width = block->map.width;
    float *group = block->packed + row * block->columns, *rest = group + (block->columns - 1) * GROUP;
    double length2[TRM_TILE_ALIGN] = {0.0}, of_rest;
    double *z = trm_alloc((int64_t)width * TRM_TILE_ALIGN, sizeof *z);
    memset(rest, 0, GROUP * sizeof *rest);
    if (z == NULL) {
        survive(count, error);
        return;
    }
    take_coordinates(block, row, count, z, length2);
    for (int first = 0; first < count; first += LANES)
        code_lanes(group, first, least(count - first, LANES), coordinate(z, width, first, 0), width, n,
                   error);
    for (int i = 0; i < count; i++) {
        rest[i] = trm_prefix_rest(&block->map, n[i], length2[i], &of_rest);
        error[i] +=
            of_rest + 3.0 * 0x1p-24 * (length2[i] + (double)rest[i] * (double)rest[i]) * (1.0 + 0x1p-20);
    }
    trm_free(z);
}

/* ---- tiles ---- */

static void run_tile(const trm_tile *tile, bool leading, trm_workspace *work)
{
    const form *f = form_get();
    const int words = (tile->a->columns - CODES) / 2, rest = leading ? tile->a->columns - 1 : 0;
    trm_strips_run(tile, f->strip, f->multiply, words, rest, work);
}

static void tile_int8(const trm_tile *tile, trm_workspace *work)
{
    run_tile(tile, false, work);
}

static void tile_leading(const trm_tile *tile, trm_workspace *work)
{
    run_tile(tile, true, work);
}

const trm_kernel trm_kernel_int8 = {.name = "int8",
                                    .promising = promising,
                                    .leads = trm_isa_sums_bytes,
                                    .begins_from = 128,
                                    .radius = trm_float_dot_radius,
                                    .tile = tile_int8,
                                    .columns = columns,
                                    .encode = encode,
                                    .pairs = trm_pairs_fp32};

const trm_kernel trm_kernel_prefix8 = {.name = "prefix8",
                                       .promising = promising,
                                       .radius = trm_float_dot_radius,
                                       .tile = tile_leading,
                                       .columns = columns_leading,
                                       .encode = encode_leading,
                                       .pairs = trm_pairs_fp32,
                                       .codes_from = 128,
                                       .near_only = true,
                                       .needs_basis = true,
                                       .width_step = {0, 2}};
