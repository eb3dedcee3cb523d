/* What the store folder shares of HDF5: silence, opening, looking at a file, and large datasets in pieces.
 *
 * HDF5 prints its error stack by default; a user of trimine reads one line, ours. So every public call here
 * silences HDF5 while it runs and restores what the caller had set. */
#ifndef TRM_STORE_H5_H
#define TRM_STORE_H5_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <hdf5.h>
#pragma GCC diagnostic pop

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct trm_h5_handler {
    H5E_auto2_t function;
    void *data;
} trm_h5_handler;

/* Switches HDF5's own printing off; what was set before goes to trm_h5_restore. Not collective. */
trm_h5_handler trm_h5_silence(void);
void trm_h5_restore(trm_h5_handler handler);

/* File access by this rank alone, without MPI-IO and without file locks (which network file systems may
 * refuse). */
hid_t trm_h5_access_serial(void);

/* Opens for reading with the access above; files that it leads to are not locked either. Negative on failure;
 * why then holds HDF5's innermost description.
 */
hid_t trm_h5_open_serial(const char *path, char *why, size_t size);

/* HDF5's innermost description of why its last call failed. Not collective. */
void trm_h5_reason(char *text, size_t size);

/* The version of the HDF5 linked, "1.10.8". */
enum { TRM_H5_VERSION = 48 };
void trm_h5_version(char text[TRM_H5_VERSION]);

/* Closes any handle but a file; a negative one is fine. Not collective, but every rank has to do it. */
void trm_h5_close(hid_t handle);

/* Part of a dataset with one to three dimensions: rows [first, first + rows), of each the items [item, item +
 * items) of width values. A dataset of two dimensions has one item a row, one of one dimension also one
 * value an item. */
typedef struct trm_h5_block {
    int64_t first, rows, item, items, width;
} trm_h5_block;

/* Selects a block (nothing where it has no rows) of what counts as rank dimensions (trm_h5_squeeze), and
 * makes the dense memory space that fits. Negative on failure. */
hid_t trm_h5_select(hid_t file_space, int rank, const trm_h5_block *block);

/* How all ranks go through their rows in the same number of pieces of at most 64 MiB: several whole rows
 * each, or some items of one row where a row is larger (an item is not divided). So a piece is contiguous in
 * memory.
 */
typedef struct trm_h5_pieces {
    int64_t first, rows, items, width;  /* this rank's part */
    int64_t row_step, item_step, a_row; /* a_row: pieces that a row is divided into */
    int64_t pieces;
} trm_h5_pieces;

/* Rows [first, first + rows); most: the largest rows of any rank; size: bytes a value. Not collective. */
trm_h5_pieces trm_h5_divide(int64_t first, int64_t rows, int64_t most, int64_t items, int64_t width,
                            int64_t size);

/* Piece i of pieces; *done gets the items of this rank's part that come before it. */
trm_h5_block trm_h5_piece(const trm_h5_pieces *all, int64_t i, int64_t *done);

/* Bytes of the largest piece. */
int64_t trm_h5_piece_bytes(const trm_h5_pieces *all, int64_t size);

/* An attribute with one integer; with one text, of fixed or variable length, cut to size. False where it is
 * not there or holds something else. This rank alone, on a file opened serially. */
bool trm_h5_attribute_int(hid_t object, const char *name, int64_t *value);
bool trm_h5_attribute_text(hid_t object, const char *name, char *text, size_t size);

#endif
