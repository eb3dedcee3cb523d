/* Tile filters. A kernel multiplies two blocks of rows in low precision and emits the pairs that a window
 * can't rule out. It knows no miner; a miner knows no precision. The window, an interval of distances a row
 * still cares about, is the whole contract between them.
 *
 * Every metric is reduced to one form on mapped rows y (see trm_map): v = g - r_i - r_j with g = <y_i, y_j>,
 * larger is closer. A proven error radius, split additively into a part of the row and a part of the column,
 * is folded into r and into the windows, so that the common case is one vector compare: g > min(R_i + c_j,
 * C_j + r_i). Pure C and CBLAS; not collective; all functions may be called from several threads on different
 * outputs. */
#ifndef TRM_KERNEL_KERNEL_H
#define TRM_KERNEL_KERNEL_H

#include "base/error.h"
#include "trimine/metric.h"

#include <stdbool.h>
#include <stdint.h>

/* A pair that could not be ruled out: places in the two blocks, and bounds that enclose the canonical float64
 * distance of the pair in the metric's own unit: lo <= d <= hi (lo may be -inf, hi +inf). */
typedef struct trm_survivor {
    int32_t row, col;
    float lo, hi;
} trm_survivor;

/* What kernels know of the rows as a whole: directions in which they differ most (kernel/basis.h). */
typedef struct trm_basis trm_basis;

/* How rows are mapped before they are multiplied. Equal on all ranks (any values are correct; they only
 * decide how tight the filter is): y = (x - shift) * scale for sql2 and l2, x * scale for dot, x / |x| for
 * cosine. scale is a power of two that brings the largest mapped norm to at most 1, so nothing overflows. */
typedef struct trm_map {
    trm_metric metric;
    int dim;
    const float *shift; /* dim values, or NULL; sql2 and l2 only; borrowed */
    double scale;
    const trm_basis *basis; /* borrowed; NULL where no kernel that is used needs one */
    int width; /* leading coordinates that a kernel with a basis looks at first, 1 to the basis's */
} trm_map;

/* A power of two s with s * norm <= 1 (and > 1/4), for a largest norm; 1 for 0. norm is a float64 Euclidean
 * norm. */
double trm_map_scale(double largest_norm);

typedef struct trm_kernel trm_kernel;

/* Rows packed for a kernel. Serves as the row side and as the column side of a tile. The same rows may be packed in
 * several blocks at once, for different kernels or widths. */
typedef struct trm_block {
    const trm_kernel *kernel;
    trm_map map;
    int64_t rows, capacity, room; /* room: floats there are for packed rows */
    int columns;                  /* packed, of a row: the map's dim, or what the kernel looks at first */
    float *packed;                /* the kernel's own layout */
    float *mapped;                /* rows x dim, for a kernel that goes on pair by pair; else NULL */
    bool borrows;                 /* mapped is another block's */
    float *slack; /* with it: by how much the error of the tile's products is larger than that of a pair's */
    float *codes; /* of a kernel that looks at pairs by these first; else NULL (bytes: codes.h) */
    float *near_term; /* per row, in units of v: (alpha - K) n / 2 rounded down: optimistic */
    float *far_term;  /* (alpha + K) n / 2 rounded up: pessimistic */
} trm_block;

/* Windows of rows of one block from row first on, widened and converted to units of v for the compare. */
typedef struct trm_bounds {
    int64_t capacity, first;
    float *near; /* a pair closer than the window's far end has  g > near + other's near_term */
    float *far;  /* a pair farther than the window's near end has g < far + other's far_term */
} trm_bounds;

/* Columns that fit a row of a tile: [first[0], last[0]) and [first[1], last[1]), places in block b. */
typedef struct trm_fit {
    int64_t first[2], last[2];
} trm_fit;

/* One tile: rows [row, row + rows) of block a against rows [col, col + cols) of block b; row and col are
 * multiples of TRM_TILE_ALIGN. */
typedef struct trm_tile {
    const trm_block *a, *b;
    const trm_bounds *a_bounds, *b_bounds;
    int64_t row, col;
    int rows, cols;
    const trm_fit *fit; /* of every row of the tile; no other pair survives. NULL: all fit */
} trm_tile;

/* Kernels go by groups of 24 or of 48 rows. The sides that can be asked for are multiples of TRM_TILE_STEP up to
 * TRM_TILE_MAX; they are rounded up to TRM_TILE_ALIGN. */
enum { TRM_TILE_ALIGN = 48, TRM_TILE_STEP = 16, TRM_TILE_MAX = 1024 };

/* The next multiple of TRM_TILE_ALIGN. */
static inline int64_t trm_tile_round_up(int64_t rows)
{
    return (rows + TRM_TILE_ALIGN - 1) / TRM_TILE_ALIGN * TRM_TILE_ALIGN;
}

/* A tile's products are the first stage of a kernel; a look at each pair that they left may be the second. */
enum { TRM_STAGES = 2 };

/* A thread's output and scratch. Owned by the sweep; made by trm_workspace_create. */
typedef struct trm_workspace {
    trm_survivor *survivors;             /* row and col are places in the blocks a and b, not in the tile */
    int64_t count, capacity;             /* capacity is that of the largest tile */
    float *scratch;                      /* a tile, each row up to a whole group */
    int64_t stage_survivors[TRM_STAGES]; /* pairs left by each stage so far; counted by trm_kernel_run */
} trm_workspace;

/* A row of the kernel table. A new kernel is one new file and one row in kernel.c. */
struct trm_kernel {
    const char *name;
    bool (*promising)(void); /* so that "auto" should try it on this CPU; NULL: on any */
    /* Is it so fast on this CPU that a sweep that chooses begins with it, not with fp32, for rows of begins_from dimensions or more?
     * NULL: on none. */
    bool (*leads)(void);
    int begins_from;
    /* Size of the packed layout; NULL: the columns of all rows, up to a whole group. */
    int64_t (*packed_floats)(int64_t rows, int columns);
    /* Places columns [first, first + width) of the mapped rows [row, row + TRM_TILE_ALIGN): mapped has stride
     * floats a row, zeros past the block's last row. */
    void (*pack)(const float *mapped, int stride, int64_t row, int dim, int first, int width, float *packed);
    double (*radius)(int dim); /* e with |computed g - exact g| <= e |y_i| |y_j| + tiny; proof beside it */
    void (*tile)(const trm_tile *tile, trm_workspace *work); /* appends the survivors */

    /* Columns of four bytes a row that are packed, of rows of that many dimensions; NULL: one a dimension. */
    int (*columns)(int dim, int width);

    /* Of a kernel of two stages. Its blocks keep the mapped rows, and instead of pack it has encode: packs rows [row,
     * row + TRM_TILE_ALIGN), count of which are there, and gives each one's part of the error of a tile's product, e_i
     * of kernel.c; n: |y|^2 of each. */
    void (*encode)(trm_block *block, int64_t row, int count, const double *n, double *error);
    /* Keeps of the survivors [from, work->count) those that it can't rule out one by one, and sets their bounds. NULL:
     * tile has done so. */
    void (*pairs)(const trm_tile *tile, trm_workspace *work, int64_t from);
    /* Before that, pairs of rows of so many dimensions or more are ruled out by small whole numbers (codes.h); 0: of none. */
    int codes_from;
    bool
        near_only; /* tile goes by the windows' far ends alone: of little use where many windows have a near end */
    bool needs_basis; /* works on map.width coordinates of map.basis */
    /* With it: the widths that "auto" tries, as candidates from the one that the basis says is best. */
    int width_step[2];
};

/* By option name: NULL when unknown. "auto" gives what is taken where trials do not pay. */
const trm_kernel *trm_kernel_find(const char *name);
/* Should "auto" try it on this CPU? */
bool trm_kernel_promising(const trm_kernel *kernel);
/* Should sweeps begin with it on this CPU, if they choose and rows have so many dimensions? */
bool trm_kernel_leads(const trm_kernel *kernel);
/* The names that can be chosen, NULL-terminated table; NULL past the end. */
const trm_kernel *trm_kernel_at(int index);
/* Which instruction set the fp32 kernel's micro-kernel uses on this CPU: "avx512", "avxvnni", "avx2" or "portable". The
 * environment variable TRIMINE_ISA (avx512|avxvnni|avx2|portable) lowers the choice, for tests. */
const char *trm_kernel_isa(void);

/* Brings a row of dim values on its way to the cache, some pairs before it is multiplied: a survivor's rows are far from those
 * of the one before. Its beginning alone: the processor sees a row being read and fetches the rest by itself, and has no
 * more than so many fetches under way at a time. */
enum { TRM_FETCH_AHEAD = 4 };
static inline void trm_row_fetch(const float *x, int64_t dim)
{
    enum { LINE_FLOATS = 16, BEGINNING = 4 * LINE_FLOATS };
    for (int64_t k = 0; k < dim && k < BEGINNING; k += LINE_FLOATS)
        __builtin_prefetch(x + k);
}

/* Appends the survivors of a tile after all stages of the kernel of its blocks, and counts what each stage left. */
void trm_kernel_run(const trm_tile *tile, trm_workspace *work);

/* Bytes that a block of that many rows takes (for the memory plan). width: of a kernel with a basis; 0: the widest. */
int64_t trm_block_bytes(const trm_kernel *kernel, int64_t capacity, int dim, int width);

/* Memory for up to capacity rows. Errors: MEMORY. Owned by the caller. */
trm_status trm_block_create(const trm_kernel *kernel, const trm_map *map, int64_t capacity, trm_block **block,
                            trm_error *err) TRM_MUST_CHECK;
/* The same of the rows that another block is for: they share the mapped ones, if that has them. It is of no use without the
 * other. */
trm_status trm_block_create_beside(const trm_block *other, const trm_kernel *kernel, int width,
                                   trm_block **block, trm_error *err) TRM_MUST_CHECK;
/* Maps and packs rows [first, first + count) of x (whole array, rows x dim float32, row-major); first is a
 * multiple of TRM_TILE_ALIGN; norm2: the canonical <x, x> of every row. Threads may fill different parts at
 * once. The caller sets block->rows first. Rows past block->rows in the last group are padding that never
 * survives. */
void trm_block_fill(trm_block *block, int64_t first, int64_t count, const float *x, const double *norm2);
/* Makes it a block for another kernel, or width, of the same rows, which have to be filled in again; memory that still serves
 * stays, what does not is given up before more is asked for. Errors: MEMORY; then it can only be destroyed. */
trm_status trm_block_change(trm_block *block, const trm_kernel *kernel, int width,
                            trm_error *err) TRM_MUST_CHECK;
void trm_block_destroy(trm_block **block);

trm_status trm_bounds_create(int64_t capacity, trm_bounds **bounds, trm_error *err) TRM_MUST_CHECK;
/* Sets the windows of rows [first, first + count) of the block: row i cares about distances lo[i] <= d <=
 * hi[i] (metric unit, float64, -inf and +inf allowed; lo > hi: about none). Padding rows up to the next
 * multiple of TRM_TILE_ALIGN are set to "none" where first + count == block->rows. */
void trm_bounds_set(trm_bounds *bounds, const trm_block *block, int64_t first, int64_t count,
                    const double *lo, const double *hi);
/* Narrows the window of a row: nothing farther than hi is wanted (nearer than lo; -INFINITY, INFINITY: no news). */
void trm_bounds_narrow(trm_bounds *bounds, const trm_block *block, int64_t row, double lo, double hi);
/* Copies the windows of count rows from row first on, and of the padding up to the next multiple of
 * TRM_TILE_ALIGN, into bounds of at least that capacity: what a thread works with while others move the
 * originals. */
void trm_bounds_copy(const trm_bounds *from, int64_t first, int64_t count, trm_bounds *into);
/* Does a row's window have no far end (near: no near end), so that no pair is too far (too near) for it? */
bool trm_bounds_open(const trm_bounds *bounds, int64_t row, bool near);
void trm_bounds_destroy(trm_bounds **bounds);

/* For tiles of up to that many pairs, each row of them up to a whole group. */
trm_status trm_workspace_create(int64_t pairs, trm_workspace **work, trm_error *err) TRM_MUST_CHECK;
void trm_workspace_destroy(trm_workspace **work);

#endif
