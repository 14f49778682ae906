/* One step of a Llama in int8: everything from token ids to logits in a single call, for AVX-512 with VNNI.
 *
 * Why this is C: a step of PyTorch's operations costs several times what its arithmetic does, since each of them
 * goes through memory and a meeting of all threads, and none attends to keys in 8 bits. Here a layer is nine loops
 * of one parallel region.
 *
 * Numbers. Weights are int8 with a scale for each output. What a product reads is int8 with a scale for each row;
 * what the attention's projections, the scores and the output head read is two int8 numbers each ("fine"), the
 * second in 254ths of the first. Keys and values are kept in int8, with a scale for each token and head. Sums of
 * int8 products are exact integers, and every sum of floats is made within one row in one order; so a row's result
 * is the same bit for bit, whatever rows are beside it and however a prompt is cut into chunks. The compiler must
 * not change the order or fuse operations: -ffp-contract=off and no -ffast-math.
 *
 * VNNI multiplies unsigned by signed bytes. Weights and keys are kept with 128 added, and 128 times the sum of the
 * other side is taken off at the end. Probabilities are unsigned by themselves.
 *
 * What is not a number stays so: the largest magnitude of a row that holds NaN or infinity is NaN, and with it
 * everything that comes of that row, up to its logits.
 *
 * A group is what one head of one layer keeps of 16 tokens, GROUP(dimension) bytes:
 *   keys    [dimension / 4][16 tokens][4 dimensions]  uint8, 128 added
 *   values  [4][dimension][4 tokens]                  int8
 *   scales  [16] of the keys, [16] of the values      float
 * A slot is [layer][head][group]. Tokens beyond those written are never looked at, whatever lies there.
 */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

enum {
    WIDTH = 32,      /* outputs of a tile of weights: two registers */
    BLOCK = 12,      /* rows that are multiplied with a tile at once; half of them when each has two numbers */
    TOKENS = 16,     /* of a group */
    QUERIES = 12,    /* query vectors that read keys and values together */
    AT_SCORES = 6,   /* of them, how many accumulators have room for while keys are read */
    AT_VALUES = 3,   /* and while values are read, 64 dimensions at a time */
    AHEAD = 4,       /* groups that are asked of memory before they are read: the processor foresees no gaps */
};

static const float LARGEST = 127.0f, FINE = 254.0f, SHARE = 255.0f, TINY = 1e-30f;

#define GROUP(dimension) (2 * TOKENS * (dimension) + 2 * TOKENS * (int64_t)sizeof(float))

/* ---- what Python hands over; library.py declares the same ---- */

typedef struct {
    const uint8_t *values; /* [output / 32][input / 4][32][4], 128 added */
    const float *scales;   /* [output], with the 127 of what is read in it; rounded up to 32 outputs with zeros */
    int64_t inputs, outputs;
} Matrix;

typedef struct {
    const float *attention_norm, *mlp_norm;
    Matrix qkv, out, gate_up, down; /* a tile of gate_up has 16 gates and then their 16 ups */
} Layer;

typedef struct {
    int64_t layers, hidden, heads, kv_heads, dimension, inner, vocabulary;
    float epsilon, scale; /* `scale` is of the attention's scores */
    const float *embedding; /* [vocabulary][hidden] */
    const float *norm;      /* [hidden] */
    const float *cosines, *sines; /* [position][dimension / 2] */
    const Layer *layer;
    Matrix head;
} Model;

typedef struct {
    uint8_t *slot;
    int64_t groups; /* that the slot has for each layer and head */
    int64_t row, start, length;
} Span;

/* ---- small things ---- */

INLINE __m512 exponential(__m512 x) /* e^x to about 2 ulp, NaN for NaN; 0 below -104 */
{
    x = _mm512_max_ps(_mm512_set1_ps(-104.0f), x);
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.0f / 5040); /* Taylor's, on |r| <= ln 2 / 2 */
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* Adds to each sum four products of unsigned bytes and signed ones. Not _mm512_dpbusd_epi32: around that, GCC 12
 * copies every sum at each turn of a loop, which takes three times as long. */
INLINE __m512i dot(__m512i sums, __m512i bytes, __m512i signed_bytes)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(bytes), "v"(signed_bytes));
    return sums;
}

INLINE __m512i rounded(__m512 x) { return _mm512_cvtps_epi32(x); }

/* The largest magnitude of [n] floats, NaN if one of them is NaN or infinite. `n` is a multiple of 16. */
static float largest(const float *x, int64_t n)
{
    __m512 most = _mm512_setzero_ps(), poison = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_loadu_ps(x + i);
        most = _mm512_max_ps(most, _mm512_abs_ps(v));
        poison = _mm512_fmadd_ps(v, _mm512_setzero_ps(), poison);
    }
    return fmaxf(_mm512_reduce_max_ps(most), TINY) + _mm512_reduce_add_ps(poison);
}

/* Int8 of [n] floats whose largest magnitude becomes 127, and 128 times their sum. `second` may be NULL. */
static void quantize(const float *x, int64_t n, float most, int8_t *first, int8_t *second, int32_t *sums)
{
    __m512 factor = _mm512_set1_ps(LARGEST / most);
    __m512i sum = _mm512_setzero_si512(), fine_sum = _mm512_setzero_si512();
    for (int64_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x + i), factor);
        __m512i whole = rounded(v);
        sum = _mm512_add_epi32(sum, whole);
        _mm_storeu_si128((__m128i *)(first + i), _mm512_cvtepi32_epi8(whole));
        if (second) {
            __m512i rest = rounded(_mm512_mul_ps(_mm512_sub_ps(v, _mm512_cvtepi32_ps(whole)), _mm512_set1_ps(FINE)));
            fine_sum = _mm512_add_epi32(fine_sum, rest);
            _mm_storeu_si128((__m128i *)(second + i), _mm512_cvtepi32_epi8(rest));
        }
    }
    sums[0] = 128 * _mm512_reduce_add_epi32(sum);
    sums[1] = 128 * _mm512_reduce_add_epi32(fine_sum);
}

/* ---- products ---- */

/* Rows as a product reads them. The second numbers are only there where `fine` says so. */
typedef struct {
    int8_t *first, *second; /* [row][input] */
    int32_t *sums;          /* [row][2], 128 times the sums of both */
    float *scales;          /* [row] */
    int64_t inputs;
} Rows;

typedef enum { STORE, ADD, GATE } Then;

INLINE void finish(Then then, __m512 left, __m512 right, float *out)
{
    if (then == GATE) {
        __m512 one = _mm512_set1_ps(1.0f), minus = _mm512_sub_ps(_mm512_setzero_ps(), left);
        left = _mm512_div_ps(left, _mm512_add_ps(one, exponential(minus)));
        _mm512_storeu_ps(out, _mm512_mul_ps(left, right));
        return;
    }
    if (then == ADD) {
        left = _mm512_add_ps(_mm512_loadu_ps(out), left);
        right = _mm512_add_ps(_mm512_loadu_ps(out + 16), right);
    }
    _mm512_storeu_ps(out, left);
    _mm512_storeu_ps(out + 16, right);
}

/* The sums of a row as floats, with what was added to the weights taken off. */
INLINE __m512 settled(const int fine, __m512i sum, __m512i rest, const int32_t *off, const float *scales, float scale)
{
    __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum, _mm512_set1_epi32(off[0])));
    if (fine) {
        __m512 second = _mm512_cvtepi32_ps(_mm512_sub_epi32(rest, _mm512_set1_epi32(off[1])));
        value = _mm512_fmadd_ps(second, _mm512_set1_ps(1 / FINE), value);
    }
    return _mm512_mul_ps(_mm512_mul_ps(value, _mm512_loadu_ps(scales)), _mm512_set1_ps(scale));
}

/* `count` rows times one tile. `out` is where the tile's first output of the first row goes. Loops over
 * registers are not nested: GCC unrolls the innermost before it settles what can be in one. */
INLINE void multiply(
    const int count, const int fine, const Then then, const Rows *rows, int64_t row, const uint8_t *weights,
    const float *scales, float *out, int64_t stride)
{
    const int numbers = fine ? 2 : 1;
    __m512i left[BLOCK], right[BLOCK];
    const int8_t *x[BLOCK];
    UNROLL for (int i = 0; i < count * numbers; i++) {
        x[i] = (i % numbers ? rows->second : rows->first) + (row + i / numbers) * rows->inputs;
        left[i] = right[i] = _mm512_setzero_si512();
    }
    for (int64_t at = 0; at < rows->inputs; at += 4, weights += 4 * WIDTH) {
        __m512i lefts = _mm512_load_si512(weights), rights = _mm512_load_si512(weights + 64);
        UNROLL for (int i = 0; i < count * numbers; i++) {
            __m512i four = _mm512_set1_epi32(*(const int32_t *)(x[i] + at));
            left[i] = dot(left[i], lefts, four);
            right[i] = dot(right[i], rights, four);
        }
    }
    UNROLL for (int r = 0; r < count; r++) {
        const int i = r * numbers;
        const int32_t *off = rows->sums + 2 * (row + r);
        float scale = rows->scales[row + r];
        finish(
            then, settled(fine, left[i], left[i + numbers - 1], off, scales, scale),
            settled(fine, right[i], right[i + numbers - 1], off, scales + 16, scale), out + r * stride);
    }
}

#define CASE(n) case n: multiply(n, fine, then, rows, row, weights, scales, out, stride); break;

INLINE void multiply_some(
    int count, const int fine, const Then then, const Rows *rows, int64_t row, const uint8_t *weights,
    const float *scales, float *out, int64_t stride)
{
    if (fine) {
        switch (count) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) }
    } else {
        switch (count) {
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
        }
    }
}

/* All rows times a matrix, by all threads of the region; they meet at the end. A task is one tile and part of the
 * rows: few enough tasks that weights are read once when there are few rows, and enough to share them evenly. */
INLINE void product(
    const int fine, const Then then, const Rows *rows, int64_t count, const Matrix *matrix, float *out, int64_t stride)
{
    const int most = fine ? BLOCK / 2 : BLOCK, out_width = then == GATE ? WIDTH / 2 : WIDTH;
    int64_t tiles = (matrix->outputs + WIDTH - 1) / WIDTH, blocks = (count + most - 1) / most;
    int64_t parts = (blocks + 7) / 8, tile_bytes = WIDTH * matrix->inputs;
#pragma omp for schedule(dynamic, 1)
    for (int64_t task = 0; task < tiles * parts; task++) {
        int64_t tile = task / parts, part = task % parts;
        for (int64_t block = blocks * part / parts; block < blocks * (part + 1) / parts; block++) {
            int64_t row = count * block / blocks, end = count * (block + 1) / blocks; /* evenly, so none is small */
            multiply_some(
                (int)(end - row), fine, then, rows, row, matrix->values + tile * tile_bytes,
                matrix->scales + tile * WIDTH, out + row * stride + tile * out_width, stride);
        }
    }
}

static void product_stored(const Rows *rows, int64_t count, const Matrix *matrix, float *out, int64_t stride)
{
    product(1, STORE, rows, count, matrix, out, stride);
}

static void product_added(const Rows *rows, int64_t count, const Matrix *matrix, float *out, int64_t stride)
{
    product(0, ADD, rows, count, matrix, out, stride);
}

static void product_gated(const Rows *rows, int64_t count, const Matrix *matrix, float *out, int64_t stride)
{
    product(0, GATE, rows, count, matrix, out, stride);
}

/* One row, quantised as it is. */
static void read_row(const Rows *rows, int64_t row, const float *x)
{
    float most = largest(x, rows->inputs);
    quantize(x, rows->inputs, most, rows->first + row * rows->inputs, NULL, rows->sums + 2 * row);
    rows->scales[row] = most;
}

/* The RMS norm of a row, quantised. The norm's factor goes into the row's scale. `buffer` has room for it. */
static void read_normed(
    const Rows *rows, int64_t row, int fine, const float *x, const float *norm, float epsilon, float *buffer)
{
    int64_t n = rows->inputs;
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_loadu_ps(x + i);
        squares = _mm512_fmadd_ps(v, v, squares);
        _mm512_storeu_ps(buffer + i, _mm512_mul_ps(v, _mm512_loadu_ps(norm + i)));
    }
    float most = largest(buffer, n);
    quantize(
        buffer, n, most, rows->first + row * n, fine ? rows->second + row * n : NULL, rows->sums + 2 * row);
    rows->scales[row] = most / sqrtf(_mm512_reduce_add_ps(squares) / (float)n + epsilon);
}

/* ---- attention ---- */

/* A row's queries as the scores read them: two int8 numbers for each. */
typedef struct {
    int8_t *first, *second; /* [row][head][dimension] */
    int32_t *sums;          /* [row][head][2] */
    float *scales;          /* [row][head] */
} Queries;

/* What one thread needs to attend. `longest` is a multiple of 16. */
typedef struct {
    float *scores;           /* [QUERIES][longest] */
    uint8_t *first, *second; /* [QUERIES][longest], of the probabilities */
    float *buffer;           /* as wide as the widest row */
} Desk;

INLINE uint8_t *group_of(const Model *model, const Span *span, int64_t layer, int64_t head, int64_t group)
{
    int64_t index = (layer * model->kv_heads + head) * span->groups + group;
    return span->slot + index * GROUP(model->dimension);
}

INLINE float *key_scales(uint8_t *group, int64_t dimension) { return (float *)(group + 2 * TOKENS * dimension); }
INLINE float *value_scales(uint8_t *group, int64_t dimension) { return key_scales(group, dimension) + TOKENS; }

/* Rotary embedding of one head: the pairs are (i, i + half). */
static void rotate(float *x, const float *cosine, const float *sine, int64_t half)
{
    for (int64_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
    }
}

static void write_key(uint8_t *group, int64_t dimension, int64_t token, const float *key)
{
    int8_t values[dimension];
    int32_t sums[2];
    float most = largest(key, dimension);
    quantize(key, dimension, most, values, NULL, sums);
    for (int64_t i = 0; i < dimension; i++)
        group[(i / 4 * TOKENS + token) * 4 + i % 4] = (uint8_t)(values[i] + 128);
    key_scales(group, dimension)[token] = most / LARGEST;
}

static void write_value(uint8_t *group, int64_t dimension, int64_t token, const float *value)
{
    int8_t values[dimension], *to = (int8_t *)group + TOKENS * dimension + token / 4 * 4 * dimension;
    int32_t sums[2];
    float most = largest(value, dimension);
    quantize(value, dimension, most, values, NULL, sums);
    for (int64_t i = 0; i < dimension; i++)
        to[i * 4 + token % 4] = values[i];
    value_scales(group, dimension)[token] = most / LARGEST;
}

/* Turns one row's queries and keys, keeps its key and value, and quantises its queries. */
static void take_row(
    const Model *model, const Span *span, int64_t layer, int64_t row, float *qkv, const Queries *queries)
{
    int64_t dimension = model->dimension, half = dimension / 2, position = span->start + row - span->row;
    const float *cosine = model->cosines + position * half, *sine = model->sines + position * half;
    for (int64_t head = 0; head < model->heads; head++) {
        float *query = qkv + head * dimension;
        int64_t at = row * model->heads + head;
        rotate(query, cosine, sine, half);
        float most = largest(query, dimension);
        quantize(
            query, dimension, most, queries->first + at * dimension, queries->second + at * dimension,
            queries->sums + 2 * at);
        queries->scales[at] = most / LARGEST * model->scale;
    }
    for (int64_t head = 0; head < model->kv_heads; head++) {
        float *key = qkv + (model->heads + head) * dimension, *value = key + model->kv_heads * dimension;
        uint8_t *group = group_of(model, span, layer, head, position / TOKENS);
        rotate(key, cosine, sine, half);
        write_key(group, dimension, position % TOKENS, key);
        write_value(group, dimension, position % TOKENS, value);
    }
}

/* Query vectors that read the same keys: of some rows of a span, of some heads that share a key-value head. */
typedef struct {
    int64_t row[QUERIES], head[QUERIES], end[QUERIES]; /* `end`: how many tokens it sees */
    int64_t end_of_all;
    int count;
} Readers;

INLINE void score(
    const int count, const Model *model, const Queries *queries, const Readers *readers, int from, uint8_t *group,
    int64_t begin, float *scores, int64_t longest)
{
    int64_t dimension = model->dimension, at[AT_SCORES];
    const uint8_t *ahead = group + AHEAD * GROUP(dimension); /* keys and values; the last ones are of others */
    __m512i firsts[AT_SCORES], seconds[AT_SCORES];
    const int8_t *first[AT_SCORES], *second[AT_SCORES];
    UNROLL for (int i = 0; i < count; i++) {
        at[i] = readers->row[from + i] * model->heads + readers->head[from + i];
        first[i] = queries->first + at[i] * dimension;
        second[i] = queries->second + at[i] * dimension;
        firsts[i] = seconds[i] = _mm512_setzero_si512();
    }
    for (int64_t d = 0; d < dimension; d += 4) {
        __m512i keys = _mm512_load_si512(group + d * TOKENS);
        __builtin_prefetch(ahead + d * 2 * TOKENS, 0, 2);
        __builtin_prefetch(ahead + d * 2 * TOKENS + 64, 0, 2);
        UNROLL for (int i = 0; i < count; i++) {
            firsts[i] = dot(firsts[i], keys, _mm512_set1_epi32(*(const int32_t *)(first[i] + d)));
            seconds[i] = dot(seconds[i], keys, _mm512_set1_epi32(*(const int32_t *)(second[i] + d)));
        }
    }
    UNROLL for (int i = 0; i < count; i++) {
        const int32_t *off = queries->sums + 2 * at[i];
        __m512 value = settled(
            1, firsts[i], seconds[i], off, key_scales(group, dimension), queries->scales[at[i]]);
        int64_t seen = readers->end[from + i] - begin;
        __mmask16 visible = seen >= TOKENS ? 0xffff : seen <= 0 ? 0 : (__mmask16)((1u << seen) - 1);
        value = _mm512_mask_blend_ps(visible, _mm512_set1_ps(-INFINITY), value);
        _mm512_store_ps(scores + (from + i) * longest + begin, value);
    }
}

/* Scores to probabilities times their values' scales, as two unsigned numbers each. Returns by what their sums of
 * values are to be multiplied. */
static float soften(
    const Model *model, uint8_t *groups, int64_t end, float *scores, uint8_t *first, uint8_t *second)
{
    __m512 most = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps(), highest = _mm512_set1_ps(TINY);
    for (int64_t i = 0; i < end; i += TOKENS)
        most = _mm512_max_ps(most, _mm512_load_ps(scores + i));
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    uint8_t *group = groups;
    for (int64_t i = 0; i < end; i += TOKENS, group += GROUP(model->dimension)) {
        __m512 share = exponential(_mm512_sub_ps(_mm512_load_ps(scores + i), most));
        total = _mm512_add_ps(total, share);
        __mmask16 seen = _mm512_cmp_ps_mask(share, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        share = _mm512_maskz_mul_ps(seen, share, _mm512_load_ps(value_scales(group, model->dimension)));
        highest = _mm512_max_ps(highest, share);
        total = _mm512_fmadd_ps(share, _mm512_setzero_ps(), total); /* a scale that is not a number */
        _mm512_store_ps(scores + i, share);
    }
    float unit = _mm512_reduce_max_ps(highest);
    __m512 factor = _mm512_set1_ps(SHARE / unit);
    for (int64_t i = 0; i < end; i += TOKENS) {
        __m512 share = _mm512_mul_ps(_mm512_load_ps(scores + i), factor);
        __m512i whole = _mm512_cvttps_epi32(share);
        __m512 rest = _mm512_sub_ps(share, _mm512_cvtepi32_ps(whole));
        _mm_store_si128((__m128i *)(first + i), _mm512_cvtusepi32_epi8(whole));
        _mm_store_si128(
            (__m128i *)(second + i),
            _mm512_cvtusepi32_epi8(rounded(_mm512_mul_ps(rest, _mm512_set1_ps(SHARE)))));
    }
    return unit / SHARE / _mm512_reduce_add_ps(total);
}

/* Sums of values by their probabilities, 64 dimensions from `d` on. */
INLINE void sum_values(
    const int count, const Model *model, const Desk *desk, const Readers *readers, int from, const uint8_t *groups,
    int64_t d, const float *factors, float *out, int64_t longest)
{
    int64_t dimension = model->dimension;
    __m512i firsts[4 * AT_VALUES], seconds[4 * AT_VALUES]; /* [query][quarter of the dimensions] */
    UNROLL for (int i = 0; i < 4 * count; i++)
        firsts[i] = seconds[i] = _mm512_setzero_si512();
    for (int64_t token = 0; token < readers->end_of_all; token += 4) {
        const uint8_t *group = groups + token / TOKENS * GROUP(dimension);
        const uint8_t *four = group + TOKENS * dimension + token % TOKENS * dimension + d * 4;
        const uint8_t *first = desk->first + from * longest + token, *second = desk->second + from * longest + token;
        UNROLL for (int i = 0; i < 4 * count; i++) {
            __m512i values = _mm512_load_si512(four + i % 4 * 64);
            __m512i shares = _mm512_set1_epi32(*(const int32_t *)(first + i / 4 * longest));
            __m512i rests = _mm512_set1_epi32(*(const int32_t *)(second + i / 4 * longest));
            firsts[i] = dot(firsts[i], shares, values);
            seconds[i] = dot(seconds[i], rests, values);
        }
    }
    UNROLL for (int i = 0; i < 4 * count; i++) {
        const int reader = from + i / 4;
        float *to = out + (readers->row[reader] * model->heads + readers->head[reader]) * dimension + d;
        __m512 value = _mm512_cvtepi32_ps(firsts[i]);
        value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(seconds[i]), _mm512_set1_ps(1 / SHARE), value);
        _mm512_storeu_ps(to + i % 4 * 16, _mm512_mul_ps(value, _mm512_set1_ps(factors[reader])));
    }
}

static void attend(
    const Model *model, uint8_t *groups, const Queries *queries, const Readers *readers, const Desk *desk,
    int64_t longest, float *out)
{
    float factors[QUERIES];
    int64_t end = (readers->end_of_all + TOKENS - 1) / TOKENS * TOKENS, size = GROUP(model->dimension);
    for (int from = 0; from < readers->count; from += AT_SCORES) {
        int count = readers->count - from < AT_SCORES ? readers->count - from : AT_SCORES;
        for (int64_t begin = 0; begin < end; begin += TOKENS) {
            uint8_t *group = groups + begin / TOKENS * size;
#define SCORE(n) case n: score(n, model, queries, readers, from, group, begin, desk->scores, longest); break;
            switch (count) { SCORE(1) SCORE(2) SCORE(3) SCORE(4) SCORE(5) SCORE(6) }
        }
    }
    for (int i = 0; i < readers->count; i++)
        factors[i] = soften(
            model, groups, end, desk->scores + i * longest, desk->first + i * longest, desk->second + i * longest);
    for (int from = 0; from < readers->count; from += AT_VALUES) {
        int count = readers->count - from < AT_VALUES ? readers->count - from : AT_VALUES;
        for (int64_t d = 0; d < model->dimension; d += 64) {
#define SUM(n) case n: sum_values(n, model, desk, readers, from, groups, d, factors, out, longest); break;
            switch (count) { SUM(1) SUM(2) SUM(3) }
        }
    }
}

/* One task of a layer's attention. Tasks of a span and head: blocks of rows, and of the heads that share it. */
typedef struct {
    int64_t heads_at_once, rows_at_once, head_parts;
} Cut;

INLINE Cut cut_of(const Model *model)
{
    int64_t group = model->heads / model->kv_heads, at_once = group < QUERIES ? group : QUERIES;
    return (Cut){at_once, QUERIES / at_once, (group + at_once - 1) / at_once};
}

INLINE int64_t tasks_of(const Model *model, const Cut *cut, const Span *span)
{
    return model->kv_heads * cut->head_parts * ((span->length + cut->rows_at_once - 1) / cut->rows_at_once);
}

static void attend_task(
    const Model *model, const Cut *cut, const Span *span, int64_t layer, int64_t task, const Queries *queries,
    const Desk *desk, int64_t longest, float *out)
{
    int64_t group = model->heads / model->kv_heads, kv_head = task % model->kv_heads;
    int64_t part = task / model->kv_heads % cut->head_parts;
    int64_t block = task / model->kv_heads / cut->head_parts;
    int64_t first = block * cut->rows_at_once, last = first + cut->rows_at_once;
    Readers readers = {.count = 0};
    last = last < span->length ? last : span->length;
    for (int64_t row = first; row < last; row++)
        for (int64_t head = part * cut->heads_at_once; head < group && head < (part + 1) * cut->heads_at_once; head++) {
            readers.row[readers.count] = span->row + row;
            readers.head[readers.count] = kv_head * group + head;
            readers.end[readers.count++] = span->start + row + 1;
        }
    readers.end_of_all = span->start + last;
    attend(model, group_of(model, span, layer, kv_head, 0), queries, &readers, desk, longest, out);
}

/* ---- a step ---- */

/* Hands out parts of one piece of memory, each at an address that a register can be loaded from. */
typedef struct {
    uint8_t *base;
    int64_t used;
} Arena;

static void *take(Arena *arena, int64_t bytes)
{
    void *part = arena->base ? arena->base + arena->used : NULL;
    arena->used += (bytes + 63) / 64 * 64;
    return part;
}

typedef struct {
    float *x, *qkv, *attended, *inner;
    Rows normed, read, gated; /* `read` is of `attended`, `gated` of `inner` */
    Queries queries;
} Scratch;

static Scratch scratch_of(const Model *model, int64_t rows, Arena *arena)
{
    int64_t attended = model->heads * model->dimension, all = attended + 2 * model->kv_heads * model->dimension;
    Scratch s;
    s.x = take(arena, rows * model->hidden * 4);
    s.qkv = take(arena, rows * all * 4);
    s.attended = take(arena, rows * attended * 4);
    s.inner = take(arena, rows * model->inner * 4);
    int64_t widths[3] = {model->hidden, attended, model->inner};
    Rows *each[3] = {&s.normed, &s.read, &s.gated};
    for (int i = 0; i < 3; i++) {
        each[i]->inputs = widths[i];
        each[i]->first = take(arena, rows * widths[i]);
        each[i]->second = i ? NULL : take(arena, rows * widths[i]);
        each[i]->sums = take(arena, rows * 8);
        each[i]->scales = take(arena, rows * 4);
    }
    s.queries.first = take(arena, rows * attended);
    s.queries.second = take(arena, rows * attended);
    s.queries.sums = take(arena, rows * model->heads * 8);
    s.queries.scales = take(arena, rows * model->heads * 4);
    return s;
}

static Desk desk_of(const Model *model, int64_t longest, Arena *arena)
{
    Desk desk;
    desk.scores = take(arena, QUERIES * longest * 4);
    desk.first = take(arena, QUERIES * longest);
    desk.second = take(arena, QUERIES * longest);
    desk.buffer = take(arena, model->hidden * 4);
    return desk;
}

int omp_get_thread_num(void);

/* Whether this processor can run the rest of this file. */
int trialogue_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}

/* Bytes of what keeps 16 tokens for one head of one layer. */
int64_t trialogue_group(int64_t dimension) { return GROUP(dimension); }

/* Bytes that a step of so many rows needs, whose longest sequence has `longest` tokens. */
int64_t trialogue_scratch(const Model *model, int64_t rows, int64_t longest, int64_t threads)
{
    Arena arena = {NULL, 0};
    scratch_of(model, rows, &arena);
    for (int64_t i = 0; i < threads; i++)
        desk_of(model, (longest + TOKENS - 1) / TOKENS * TOKENS, &arena);
    return arena.used;
}

/* Reads `ids` [rows], whose rows the `spans` share among them in their order, writes their keys and values, and
 * leaves the logits of the rows `wanted` [wanted_count] in `logits`, `stride` floats a row. `scratch` begins at a
 * multiple of 64. Returns 0, or 1 when a token is none of the vocabulary; nothing was done then. */
int trialogue_step(
    const Model *model, const int64_t *ids, int64_t rows, const Span *spans, int64_t span_count,
    const int64_t *wanted, int64_t wanted_count, float *logits, int64_t stride, uint8_t *scratch, int64_t longest,
    int64_t threads)
{
    for (int64_t row = 0; row < rows; row++)
        if (ids[row] < 0 || ids[row] >= model->vocabulary)
            return 1;
    longest = (longest + TOKENS - 1) / TOKENS * TOKENS;
    Arena arena = {scratch, 0};
    Scratch s = scratch_of(model, rows, &arena);
    Desk desks[threads];
    for (int64_t i = 0; i < threads; i++)
        desks[i] = desk_of(model, longest, &arena);
    int64_t hidden = model->hidden, attended = model->heads * model->dimension;
    int64_t all = attended + 2 * model->kv_heads * model->dimension, span_of[rows], tasks = 0;
    const Cut cut = cut_of(model);
    for (int64_t i = 0; i < span_count; i++) {
        tasks = tasks + tasks_of(model, &cut, spans + i);
        for (int64_t row = 0; row < spans[i].length; row++)
            span_of[spans[i].row + row] = i;
    }
    int32_t span_of_task[tasks];
    int64_t task_of_span[span_count + 1];
    task_of_span[0] = 0;
    for (int64_t i = 0; i < span_count; i++) {
        task_of_span[i + 1] = task_of_span[i] + tasks_of(model, &cut, spans + i);
        for (int64_t task = task_of_span[i]; task < task_of_span[i + 1]; task++)
            span_of_task[task] = (int32_t)i;
    }

#pragma omp parallel num_threads((int)threads)
    {
        const Desk *desk = desks + omp_get_thread_num();
#pragma omp for
        for (int64_t row = 0; row < rows; row++)
            memcpy(s.x + row * hidden, model->embedding + ids[row] * hidden, (size_t)hidden * 4);

        for (int64_t number = 0; number < model->layers; number++) {
            const Layer *layer = model->layer + number;
#pragma omp for
            for (int64_t row = 0; row < rows; row++)
                read_normed(
                    &s.normed, row, 1, s.x + row * hidden, layer->attention_norm, model->epsilon, desk->buffer);
            product_stored(&s.normed, rows, &layer->qkv, s.qkv, all);
#pragma omp for
            for (int64_t row = 0; row < rows; row++)
                take_row(model, spans + span_of[row], number, row, s.qkv + row * all, &s.queries);
#pragma omp for schedule(dynamic, 1)
            for (int64_t task = 0; task < tasks; task++) {
                int64_t i = span_of_task[task];
                attend_task(
                    model, &cut, spans + i, number, task - task_of_span[i], &s.queries, desk, longest, s.attended);
            }
#pragma omp for
            for (int64_t row = 0; row < rows; row++)
                read_row(&s.read, row, s.attended + row * attended);
            product_added(&s.read, rows, &layer->out, s.x, hidden);
#pragma omp for
            for (int64_t row = 0; row < rows; row++)
                read_normed(&s.normed, row, 0, s.x + row * hidden, layer->mlp_norm, model->epsilon, desk->buffer);
            product_gated(&s.normed, rows, &layer->gate_up, s.inner, model->inner);
#pragma omp for
            for (int64_t row = 0; row < rows; row++)
                read_row(&s.gated, row, s.inner + row * model->inner);
            product_added(&s.gated, rows, &layer->down, s.x, hidden);
        }
#pragma omp for
        for (int64_t i = 0; i < wanted_count; i++)
            read_normed(&s.normed, i, 1, s.x + wanted[i] * hidden, model->norm, model->epsilon, desk->buffer);
        product_stored(&s.normed, wanted_count, &model->head, logits, stride);
    }
    return 0;
}
