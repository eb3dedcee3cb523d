/* Checking virtual datasets; see virtual.h.
 *
 * A mapping takes a selection of one source to a selection of the virtual dataset. Where that has no end,
 * either its one source grows, or, with "%b" in a name, it is a series: sources with the numbers 0, 1, 2 and
 * so on, as many as there are. First every source is looked at; then HDF5 may be asked for the shape, and the
 * parts that have a source must make up all of it. */
#include "store/virtual.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MOST = 16, LINK_TEXT = 400, AHEAD = 16 };

/* One mapping, or what it has become: parts are filled up to `blocks` of a series. */
typedef struct mapping {
    char *file, *dataset; /* as named: "%b" stands for a number, "%%" for "%" */
    hid_t to, from;       /* selections: of the virtual dataset, of the source */
    bool endless, series;
    hsize_t blocks; /* of a series: how many sources there are */
    hsize_t slices; /* of an endless one that is none: how far its source goes */
} mapping;

/* The source that was looked at last: a dataset is often put together row by row from one source. */
typedef struct looked_at {
    const char *file, *dataset; /* of its mapping; NULL: none yet */
    int rank;                   /* negative: not an array */
    hsize_t size[H5S_MAX_RANK];
    hssize_t points;
} looked_at;

typedef struct virtual
{
    const trm_search *search;
    hid_t dataset;
    const char *name;
    mapping *all;
    int64_t count;
    looked_at *last;
}
virtual;

static trm_status refuse(const virtual *v, const char *why, trm_error *err)
{
    char where[TRM_SEARCH_WHERE];
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': virtual dataset '%s'%s: %s", v->search->about->kind,
                    v->search->about->path, v->name, trm_search_where(v->search, where), why);
}

/* ---- sources ---- */

static bool is_series(const char *name)
{
    for (const char *at = strchr(name, '%'); at != NULL && at[1] != '\0'; at = strchr(at + 2, '%'))
        if (at[1] == 'b')
            return true;
    return false;
}

/* The name of source number block; new memory or NULL. */
static char *numbered(const char *name, hsize_t block)
{
    enum { DIGITS = 20 };
    const int64_t most = (int64_t)strlen(name) * DIGITS + 1;
    char *text = trm_alloc(most, 1), *to = text;
    for (; text != NULL && *name != '\0'; name++) {
        const bool code = *name == '%' && name[1] != '\0';
        name += code;
        if (code && *name == 'b')
            to += snprintf(to, DIGITS + 1, "%" PRIu64, (uint64_t)block);
        else
            *to++ = *name;
    }
    if (text != NULL)
        *to = '\0';
    return text;
}

static void link_text(const virtual *v, const char *dataset, const char *file, char link[LINK_TEXT])
{
    char where[TRM_SEARCH_WHERE];
    snprintf(link, LINK_TEXT, "virtual dataset '%s'%s takes rows from '%s' in '%s'", v->name,
             trm_search_where(v->search, where), dataset, file);
}

/* The source of a mapping with that number. found->kind is NOTHING where the file or what it should hold is
 * missing; link gets the words for it. */
static trm_status find_source(const virtual *v, const mapping *m, hsize_t block, char link[LINK_TEXT],
                              trm_found *found, trm_error *err)
{
    char *file_name = numbered(m->file, block), *dataset = numbered(m->dataset, block), *path = NULL;
    trm_search inner = *v->search;
    hid_t file = -1;
    trm_status status = TRM_OK;
    *found = (trm_found){TRM_FOUND_NOTHING, -1};
    if (file_name == NULL || dataset == NULL)
        status = trm_fail_memory(err, "a name", LINK_TEXT, 1);
    else
        link_text(v, dataset, file_name, link);
    inner.depth++;
    if (status == TRM_OK && strcmp(file_name, ".") == 0) {
        status = trm_search_find(&inner, v->dataset, dataset, found, err);
    } else if (status == TRM_OK) {
        status = trm_search_open(v->search, file_name, TRM_SEARCH_VIRTUAL, link, &path, &file, err);
        inner.path = path;
        if (status == TRM_OK && file >= 0)
            status = trm_search_find(&inner, file, dataset, found, err);
    }
    if (file >= 0)
        H5Fclose(file);
    trm_free(path);
    trm_free(dataset);
    trm_free(file_name);
    return status;
}

static trm_status missing(const virtual *v, const char *link, trm_error *err)
{
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': %s: there is no such source; HDF5_VDS_PREFIX names the folder of source files",
                    v->search->about->kind, v->search->about->path, link);
}

/* How far the endless dimension of a source's selection goes in a source of that shape. */
static hsize_t slices_of(hid_t from, int rank, const hsize_t *size)
{
    hsize_t start[H5S_MAX_RANK], stride[H5S_MAX_RANK], count[H5S_MAX_RANK], block[H5S_MAX_RANK];
    if (H5Sget_regular_hyperslab(from, start, stride, count, block) < 0)
        return 0;
    for (int d = 0; d < rank; d++) {
        const hsize_t room = size[d] > start[d] ? size[d] - start[d] : 0;
        if (block[d] == H5S_UNLIMITED)
            return room;
        if (count[d] == H5S_UNLIMITED) {
            const hsize_t left = room % stride[d];
            return room / stride[d] * block[d] + (left < block[d] ? left : block[d]);
        }
    }
    return 0;
}

/* Does a fixed mapping find in its source, of that shape, all that it takes? */
static bool fits(const mapping *m, int rank, const hsize_t *size, hssize_t points)
{
    hsize_t low[H5S_MAX_RANK] = {0}, high[H5S_MAX_RANK] = {0};
    const bool to_all = H5Sget_select_type(m->to) == H5S_SEL_ALL; /* and then of no known size yet */
    const hssize_t wanted = to_all ? points : H5Sget_select_npoints(m->to);
    if (H5Sget_select_type(m->from) == H5S_SEL_ALL)
        return points == wanted;
    if (wanted == 0)
        return true;
    if (H5Sget_simple_extent_ndims(m->from) != rank || H5Sget_select_bounds(m->from, low, high) < 0 ||
        (!to_all && H5Sget_select_npoints(m->from) != wanted))
        return false;
    for (int d = 0; d < rank; d++)
        if (high[d] >= size[d])
            return false;
    return true;
}

static void keep_size(const mapping *m, hid_t source, looked_at *last)
{
    hid_t space = H5Dget_space(source);
    last->size[0] = 0;
    last->points = H5Sget_simple_extent_npoints(space);
    last->rank = H5Sget_simple_extent_dims(space, last->size, NULL);
    last->file = m->file;
    last->dataset = m->dataset;
    trm_h5_close(space);
}

static trm_status check_size(const virtual *v, mapping *m, trm_error *err)
{
    char link[LINK_TEXT];
    const looked_at *source = v->last;
    m->slices = m->endless ? slices_of(m->from, source->rank, source->size) : 0;
    if (source->rank >= 0 && (m->endless || fits(m, source->rank, source->size, source->points)))
        return TRM_OK;
    link_text(v, m->dataset, m->file, link);
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': %s: that has another shape (%" PRIu64 " rows) than is taken from it",
                    v->search->about->kind, v->search->about->path, link, (uint64_t)source->size[0]);
}

static trm_status look_at_source(const virtual *v, const mapping *m, trm_error *err)
{
    char link[LINK_TEXT];
    trm_found found;
    trm_status status = find_source(v, m, 0, link, &found, err);
    if (status == TRM_OK && found.kind == TRM_FOUND_NOTHING)
        status = missing(v, link, err);
    else if (status == TRM_OK && found.kind != TRM_FOUND_DATASET)
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': %s: that is no dataset", v->search->about->kind,
                          v->search->about->path, link);
    if (status == TRM_OK)
        keep_size(m, found.object, v->last);
    trm_h5_close(found.object);
    return status;
}

static trm_status check_source(const virtual *v, mapping *m, trm_error *err)
{
    const looked_at *last = v->last;
    const bool again =
        last->file != NULL && strcmp(last->file, m->file) == 0 && strcmp(last->dataset, m->dataset) == 0;
    trm_status status = again ? TRM_OK : look_at_source(v, m, err);
    return status == TRM_OK ? check_size(v, m, err) : status;
}

/* Is the source of that number there? Each one that is, is looked at. */
static trm_status try_block(const virtual *v, const mapping *m, hsize_t block, char link[LINK_TEXT],
                            bool *there, trm_error *err)
{
    trm_found found;
    trm_status status = find_source(v, m, block, link, &found, err);
    *there = status == TRM_OK && found.kind == TRM_FOUND_DATASET;
    trm_h5_close(found.object);
    return status;
}

/* HDF5 takes the first number that is missing for the end: later ones would be lost without a word. */
static trm_status check_series(const virtual *v, mapping *m, trm_error *err)
{
    char link[LINK_TEXT], first_missing[LINK_TEXT];
    bool there = true;
    trm_status status = TRM_OK;
    for (m->blocks = 0; status == TRM_OK && there; m->blocks += there)
        status = try_block(v, m, m->blocks, first_missing, &there, err);
    for (hsize_t i = 1; status == TRM_OK && !there && i <= AHEAD; i++)
        status = try_block(v, m, m->blocks + i, link, &there, err);
    return status == TRM_OK && (there || m->blocks == 0) ? missing(v, first_missing, err) : status;
}

static char *name_of(hid_t creation, size_t i, ssize_t (*get)(hid_t, size_t, char *, size_t))
{
    const ssize_t length = get(creation, i, NULL, 0);
    char *name = length < 0 ? NULL : trm_alloc_zero((int64_t)length + 1, 1);
    if (name != NULL)
        get(creation, i, name, (size_t)length + 1);
    return name;
}

static trm_status check_mapping(const virtual *v, hid_t creation, size_t i, trm_error *err)
{
    mapping *m = &v->all[i];
    m->file = name_of(creation, i, H5Pget_virtual_filename);
    m->dataset = name_of(creation, i, H5Pget_virtual_dsetname);
    m->to = H5Pget_virtual_vspace(creation, i);
    m->from = H5Pget_virtual_srcspace(creation, i);
    if (m->file == NULL || m->dataset == NULL || m->to < 0 || m->from < 0)
        return refuse(v, "a mapping can't be read: the file is damaged", err);
    m->endless = H5Sget_select_npoints(m->to) == (hssize_t)H5S_UNLIMITED;
    m->series = m->endless && (is_series(m->file) || is_series(m->dataset));
    return m->series ? check_series(v, m, err) : check_source(v, m, err);
}

/* ---- coverage ---- */

typedef struct interval {
    int64_t first, past;
} interval;

static int compare_intervals(const void *a, const void *b)
{
    const interval *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* What a mapping fills of a dataset with that space; negative where that can't be told. */
static hid_t filled(const mapping *m, hid_t space)
{
    hsize_t start[H5S_MAX_RANK], stride[H5S_MAX_RANK], count[H5S_MAX_RANK], block[H5S_MAX_RANK];
    hsize_t size[H5S_MAX_RANK];
    const int rank = H5Sget_simple_extent_dims(space, size, NULL);
    if (!m->endless)
        return H5Scopy(H5Sget_select_type(m->to) == H5S_SEL_ALL ? space : m->to);
    if (rank < 0 || H5Sget_regular_hyperslab(m->to, start, stride, count, block) < 0)
        return -1;
    for (int d = 0; d < rank; d++) {
        if (count[d] == H5S_UNLIMITED)
            count[d] = m->series ? m->blocks : m->slices / block[d];
        if (block[d] == H5S_UNLIMITED)
            block[d] = m->slices;
    }
    hid_t part = H5Scopy(space);
    if (H5Sselect_hyperslab(part, H5S_SELECT_SET, start, stride, count, block) < 0) {
        trm_h5_close(part);
        return -1;
    }
    return part;
}

/* Is the selection whole rows, one after the other? */
static bool is_interval(hid_t selection, int rank, const hsize_t *size, interval *rows)
{
    hsize_t low[H5S_MAX_RANK], high[H5S_MAX_RANK];
    hssize_t points = 1;
    *rows = (interval){0, 0};
    if (H5Sget_select_npoints(selection) == 0)
        return true;
    if (H5Sget_select_bounds(selection, low, high) < 0)
        return false;
    for (int d = 0; d < rank; d++) {
        if (d > 0 && (low[d] != 0 || high[d] + 1 != size[d]))
            return false;
        points *= (hssize_t)(high[d] - low[d] + 1);
    }
    *rows = (interval){(int64_t)low[0], (int64_t)high[0] + 1};
    return points == H5Sget_select_npoints(selection);
}

/* The first row that no interval has, or rows. */
static int64_t first_gap(interval *all, int64_t count, int64_t rows)
{
    int64_t covered = 0;
    qsort(all, (size_t)count, sizeof *all, compare_intervals);
    for (int64_t i = 0; i < count && all[i].first <= covered; i++)
        covered = all[i].past > covered ? all[i].past : covered;
    return covered < rows ? covered : rows;
}

/* The usual case, whole rows, in n log n; else selections are joined one by one. *gap: the first row without
 * a source, -1 where some values in rows are without. */
static bool covers(const virtual *v, hid_t space, interval *rows, int64_t *gap)
{
    hsize_t size[H5S_MAX_RANK] = {0};
    const int rank = H5Sget_simple_extent_dims(space, size, NULL);
    const hssize_t points = H5Sget_simple_extent_npoints(space);
    bool whole = true, good = true;
    hid_t joined = -1;
    for (int64_t i = 0; i < v->count && good; i++) {
        hid_t part = filled(&v->all[i], space);
        good = part >= 0;
        whole = good && is_interval(part, rank, size, &rows[i]) && whole;
        trm_h5_close(part);
    }
    *gap = good && whole ? first_gap(rows, v->count, (int64_t)size[0]) : -1;
    if (!good || whole)
        return good && *gap == (int64_t)size[0];
    for (int64_t i = 0; i < v->count && good; i++) {
        hid_t part = filled(&v->all[i], space);
        hid_t both = joined < 0 ? H5Scopy(part) : H5Scombine_select(joined, H5S_SELECT_OR, part);
        trm_h5_close(joined);
        trm_h5_close(part);
        joined = both;
        good = joined >= 0;
    }
    good = good && joined >= 0 && H5Sget_select_npoints(joined) == points;
    trm_h5_close(joined);
    return good;
}

static trm_status check_coverage(const virtual *v, trm_error *err)
{
    char why[LINK_TEXT];
    int64_t gap = -1;
    interval *rows = trm_alloc(v->count + 1, sizeof *rows);
    hid_t space = H5Dget_space(v->dataset); /* HDF5 opens the sources now */
    trm_status status = TRM_OK;
    if (rows == NULL)
        status = trm_fail_memory(err, "a list of sources", v->count, sizeof *rows);
    else if (space < 0)
        status = refuse(v, "its shape can't be told", err);
    else if (H5Sget_simple_extent_npoints(space) > 0 && !covers(v, space, rows, &gap)) {
        if (gap >= 0)
            snprintf(why, sizeof why, "no source fills row %" PRId64 ": HDF5 would read the fill value there",
                     gap);
        status = refuse(
            v, gap >= 0 ? why : "no source fills a part of it: HDF5 would read the fill value there", err);
    }
    trm_h5_close(space);
    trm_free(rows);
    return status;
}

trm_status trm_virtual_check(const trm_search *search, hid_t dataset, hid_t creation, const char *name,
                             trm_error *err)
{
    size_t count = 0;
    looked_at last = {.file = NULL};
    virtual v = {search, dataset, name, NULL, 0, &last};
    if (search->depth >= DEPTH_MOST)
        return refuse(&v, "virtual datasets lead to each other in a circle", err);
    if (H5Pget_virtual_count(creation, &count) < 0)
        return refuse(&v, "its sources can't be read: the file is damaged", err);
    v.all = trm_alloc_zero((int64_t)count + 1, sizeof *v.all);
    if (v.all == NULL)
        return trm_fail_memory(err, "a list of sources", (int64_t)count, sizeof *v.all);
    trm_status status = TRM_OK;
    for (v.count = 0; v.count < (int64_t)count && status == TRM_OK; v.count++) {
        v.all[v.count].to = v.all[v.count].from = -1;
        status = check_mapping(&v, creation, (size_t)v.count, err);
    }
    if (status == TRM_OK)
        status = check_coverage(&v, err);
    for (int64_t i = 0; i < v.count; i++) {
        trm_free(v.all[i].file);
        trm_free(v.all[i].dataset);
        trm_h5_close(v.all[i].to);
        trm_h5_close(v.all[i].from);
    }
    trm_free(v.all);
    return status;
}
