/* Opening a store: rank 0 looks into every file alone, all others get what it found.
 *
 * With collective metadata no rank may ask HDF5 anything alone, and thousands of ranks asking the same thing
 * would hurt the file system; so the inspection is serial, and its outcome, or its error, is broadcast. */
#include "base/alloc.h"
#include "par/agree.h"
#include "store/claim.h"
#include "store/gzip.h"
#include "store/result.h"
#include "store/survey.h"
#include "store/usual.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const int64_t most_rows = INT64_C(1) << 40; /* times any dimension is far from overflow */

const char *const trm_usual_embeddings[] = {"embeddings", "features", "X",           "train",
                                            "emb",        "vectors",  "descriptors", NULL};
const char *const trm_usual_labels[] = {"labels", "targets", "y", "classes", NULL};
const char *const trm_usual_ids[] = {"ids", NULL};

/* Growing arrays on rank 0: the file list before inspection, the entries and their strings. */
typedef struct path_item {
    char *name;
    int of; /* the path that was given: itself, or a folder */
} path_item;

typedef struct path_list {
    path_item *path;
    int count, room;
    int base; /* of these, before those of queries */
} path_list;

static const char *kind_of(bool queries)
{
    return trm_file_kind(&(trm_store_file){.queries = queries});
}

static bool ends_with_slash(const char *path)
{
    const size_t length = strlen(path);
    return length > 0 && path[length - 1] == '/';
}

static trm_status add_path(path_list *list, int of, const char *folder, const char *name, trm_error *err)
{
    if (list->count == list->room) {
        int room = 2 * list->room + 16;
        path_item *larger = trm_grown(list->path, list->count, room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the list of files", room, sizeof *larger);
        list->path = larger;
        list->room = room;
    }
    char *path = folder == NULL ? trm_format("%s", name)
                                : trm_format("%s%s%s", folder, ends_with_slash(folder) ? "" : "/", name);
    if (path == NULL)
        return trm_fail_memory(err, "a file name", (int64_t)strlen(name), 1);
    list->path[list->count++] = (path_item){path, of};
    return TRM_OK;
}

/* Digits from *at on, without leading zeros; *at goes past them. */
static size_t take_number(const char **at, const char **digits)
{
    *at += strspn(*at, "0");
    *digits = *at;
    *at += strspn(*at, "0123456789");
    return (size_t)(*at - *digits);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The order that people mean: numbers in names by their value, of any length, all else by bytes. */
static int compare_names(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        if (is_digit(*a) && is_digit(*b)) {
            const char *x, *y;
            const size_t length = take_number(&a, &x), other = take_number(&b, &y);
            const int order = length == other ? memcmp(x, y, length) : length < other ? -1 : 1;
            if (order != 0)
                return order;
        } else if (*a != *b) {
            break;
        } else {
            a++;
            b++;
        }
    }
    return (int)(unsigned char)*a - (int)(unsigned char)*b;
}

static int compare_paths(const void *a, const void *b)
{
    const char *x = ((const path_item *)a)->name, *y = ((const path_item *)b)->name;
    const int order = compare_names(x, y);
    return order != 0 ? order : strcmp(x, y); /* "a1" and "a01" */
}

static trm_status add_folder(path_list *list, int of, const trm_named_file *about, trm_error *err)
{
    const char *folder = about->path;
    DIR *stream = opendir(folder);
    if (stream == NULL)
        return trm_inspect_unopened(about, errno, err);
    trm_status status = TRM_OK;
    int first = list->count;
    for (struct dirent *item = readdir(stream); item != NULL && status == TRM_OK; item = readdir(stream))
        if (item->d_name[0] != '.' &&
            (trm_path_ends(item->d_name, ".h5") || trm_path_ends(item->d_name, ".hdf5")))
            status = add_path(list, of, folder, item->d_name, err);
    closedir(stream);
    if (status != TRM_OK)
        return status;
    if (list->count == first)
        return trm_fail(err, TRM_ERR_NO_INPUT, "%s '%s': folder holds no *.h5 or *.hdf5 file", about->kind,
                        folder);
    qsort(list->path + first, (size_t)(list->count - first), sizeof *list->path, compare_paths);
    return TRM_OK;
}

static trm_status list_files(path_list *list, int count, int queries, const char *const *paths,
                             trm_error *err)
{
    if (count - queries < 1)
        return trm_fail(err, TRM_ERR_USAGE, "no store given");
    for (int i = 0; i < count; i++) {
        const trm_named_file about = {kind_of(i >= count - queries), paths[i]};
        struct stat there;
        if (stat(paths[i], &there) != 0)
            return trm_inspect_unopened(&about, errno, err);
        trm_status status = S_ISDIR(there.st_mode) ? add_folder(list, i, &about, err)
                                                   : add_path(list, i, NULL, paths[i], err);
        if (status != TRM_OK)
            return status;
        if (i < count - queries)
            list->base = list->count;
    }
    return TRM_OK;
}

/* The name as messages and the caller see it: absolute inside the file. */
static const char *shown(const char *name, char buffer[TRM_SURVEY_NAME])
{
    snprintf(buffer, TRM_SURVEY_NAME, "%s%s", name[0] == '/' ? "" : "/", name);
    return buffer;
}

/* Where a dataset is looked for, and for what. */
typedef struct role {
    const trm_named_file *about;
    trm_sources *sources;
    hid_t file;
    const char *name;         /* "embeddings" */
    const char *flag;         /* the option's name, mostly the same */
    const char *option;       /* the path given, or NULL */
    const char *const *usual; /* else the names that are tried */
    const char *other;        /* what would do, too; NULL: nothing */
} role;

static bool is_there(hid_t file, const char *name)
{
    return H5Lexists(file, name, H5P_DEFAULT) > 0;
}

/* What the file is, where it is no store but something else of ours; NULL: that is not known. */
static const char *other_kind(hid_t file)
{
    char format[64] = {0};
    trm_h5_attribute_text(file, "format", format, sizeof format);
    if (strcmp(format, trm_form_format(TRM_FORM_TRIPLETS)) == 0 ||
        strcmp(format, trm_form_format(TRM_FORM_LISTS)) == 0)
        return "is a result of trimine mine, not a store: give the store it was mined from, and this file to "
               "trimine loss --triplets";
    if (strcmp(format, "trimine-gradient") == 0)
        return "is a gradient of trimine loss, not a store";
    if (is_there(file, "anchor") && is_there(file, "positive") &&
        (is_there(file, "negative") || is_there(file, "negatives")))
        return "holds packed triplets, not a store: they go to trimine loss";
    return NULL;
}

static trm_status refuse_missing(const role *r, trm_error *err)
{
    char listed[TRM_LISTED_BYTES];
    const char *kind = r->about->kind, *path = r->about->path, *other = other_kind(r->file);
    if (other != NULL)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': %s", kind, path, other);
    trm_inspect_list(r->file, "", listed);
    if (r->option != NULL)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': no dataset '%s' for the %s; the file has: %s", kind,
                        path, r->option, r->name, listed);
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': no dataset for the %s, give --%s%s; the file has: %s", kind,
                    path, r->name, r->flag, r->other != NULL ? r->other : "", listed);
}

static trm_status refuse_group(const role *r, const char *name, hid_t group, trm_error *err)
{
    char path[TRM_SURVEY_NAME], listed[TRM_LISTED_BYTES];
    trm_inspect_list(group, shown(name, path), listed);
    return trm_fail(
        err, TRM_ERR_DATA,
        "%s '%s': '%s' is a group, the %s must be a dataset: choose one with --%s; under it are: %s",
        r->about->kind, r->about->path, path, r->name, r->flag, listed);
}

static trm_status find_option(const role *r, hid_t *dataset, trm_error *err)
{
    trm_found found;
    trm_status status = trm_sources_find(r->sources, r->about, r->file, r->option, &found, err);
    *dataset = found.object;
    if (status != TRM_OK || found.kind == TRM_FOUND_DATASET)
        return status;
    if (found.kind == TRM_FOUND_NOTHING)
        status = refuse_missing(r, err);
    else if (found.kind == TRM_FOUND_GROUP)
        status = refuse_group(r, r->option, found.object, err);
    else
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': '%s' is no dataset", r->about->kind, r->about->path,
                          r->option);
    trm_h5_close(*dataset);
    *dataset = -1;
    return status;
}

/* One of the usual names: *dataset and *name are set where it is the first that there is; *group keeps a
 * group of such a name. */
static trm_status try_usual(const role *r, const char *usual, const char **name, hid_t *dataset,
                            const char **group_name, hid_t *group, trm_error *err)
{
    trm_found found;
    trm_status status = trm_sources_find(r->sources, r->about, r->file, usual, &found, err);
    if (status != TRM_OK)
        return status;
    if (found.kind == TRM_FOUND_DATASET && *dataset >= 0) {
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': both '/%s' and '/%s' could be the %s", r->about->kind,
                          r->about->path, *name, usual, r->name);
    } else if (found.kind == TRM_FOUND_DATASET) {
        *dataset = found.object;
        *name = usual;
        return TRM_OK;
    } else if (found.kind == TRM_FOUND_GROUP && *group < 0) {
        *group = found.object;
        *group_name = usual;
        return TRM_OK;
    }
    trm_h5_close(found.object);
    return status;
}

/* The dataset of one role: the option's path, or the one usual name that the file has. *name is borrowed;
 * *dataset stays negative where an optional role is absent. A link that leads nowhere, or something damaged,
 * is not taken for absent: another name must not take its place. */
static trm_status find_dataset(const role *r, bool optional, const char **name, hid_t *dataset,
                               trm_error *err)
{
    const char *group_name = NULL;
    hid_t group = -1;
    trm_error why = TRM_ERROR_INIT;
    trm_status status = TRM_OK;
    *dataset = -1;
    *name = r->option;
    if (r->option != NULL)
        return find_option(r, dataset, err);
    for (int i = 0; r->usual[i] != NULL && status == TRM_OK; i++)
        status = try_usual(r, r->usual[i], name, dataset, &group_name, &group, &why);
    if (status != TRM_OK && *dataset >= 0)
        status = trm_fail(err, status, "%s; choose one with --%s", why.text, r->flag);
    else if (status != TRM_OK)
        status = trm_fail(err, status, "%s", why.text);
    else if (*dataset < 0 && !optional)
        status = group < 0 ? refuse_missing(r, err) : refuse_group(r, group_name, group, err);
    trm_h5_close(group);
    return status;
}

/* What has the rows, for messages: "dataset '/x'", or "the array" of what is no HDF5. */
enum { ARRAY_TEXT = TRM_SURVEY_NAME + 16 };
static const char *array_text(const char *name, char text[ARRAY_TEXT])
{
    snprintf(text, ARRAY_TEXT, name[0] == '/' ? "dataset '%s'" : "the array", name);
    return text;
}

static trm_status check_length(const trm_named_file *about, const char *name, hsize_t rows,
                               const char *embeddings, int64_t expected, trm_error *err)
{
    if ((int64_t)rows == expected)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' has %" PRId64 " rows, '%s' has %" PRId64,
                    about->kind, about->path, name, (int64_t)rows, embeddings, expected);
}

static trm_status check_labels_against_first(const trm_survey *found, const trm_store_entry *entry,
                                             const trm_named_file *about, const char *labels, trm_error *err)
{
    static const char *const sort[] = {"numbers", "names"};
    const trm_store_entry *first = trm_survey_first(found);
    if (trm_sides_any(found, TRM_SIDE_LABELS))
        return TRM_OK; /* which is looked at later */
    const bool names = trm_element_names(&entry->labels), first_names = trm_element_names(&first->labels);
    if (names == first_names)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': labels '%s' are %s (%s), those of '%s' are %s (%s): make them the same sort",
                    about->kind, about->path, labels, sort[names], entry->seen.labels_type,
                    found->names + first->path_at, sort[first_names], first->seen.labels_type);
}

static trm_status check_against_first(const trm_survey *found, const trm_store_entry *entry,
                                      const trm_named_file *about, const char *embeddings, const char *labels,
                                      trm_error *err)
{
    char array[ARRAY_TEXT];
    const trm_store_entry *first = trm_survey_first(found);
    if (first == NULL)
        return TRM_OK;
    if (entry->dim != found->dim)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': %s has dim %" PRId64 ", '%s' has %" PRId64, about->kind,
                        about->path, array_text(embeddings, array), entry->dim, found->names + first->path_at,
                        found->dim);
    return check_labels_against_first(found, entry, about, labels, err);
}

/* An earlier file that is this one, whatever its name; -1: none. */
static int64_t find_same(const trm_survey *found, const trm_store_entry *entry)
{
    for (int i = 0; i < found->files && entry->inode != 0; i++)
        if (found->entry[i].inode == entry->inode && found->entry[i].device == entry->device)
            return i;
    return -1;
}

static int set_at_hand(const trm_survey *found)
{
    return found->files >= found->base_files;
}

/* What is said of the labels, or ids, of the file at hand, and the option that says so. */
static const trm_choice *choice_of(const trm_survey *found, trm_side_kind kind)
{
    return &found->choice[kind][found->path];
}

static const char *option_of(const trm_survey *found, trm_side_kind kind)
{
    static const char *const names[TRM_SIDES][TRM_SETS] = {{"labels", "query-labels"}, {"ids", "query-ids"}};
    return names[kind][set_at_hand(found) == 1 && !choice_of(found, kind)->of_store];
}

static trm_status add_entry(trm_survey *found, const trm_store_entry *entry, const char *path,
                            const char *embeddings, const char *labels, const char *ids,
                            const char *ids_reason, trm_error *err)
{
    if (found->files == found->room) {
        int room = 2 * found->room + 4;
        trm_store_entry *larger = trm_grown(found->entry, found->files, room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the list of files", room, sizeof *larger);
        found->entry = larger;
        found->room = room;
    }
    trm_store_entry *kept = &found->entry[found->files];
    *kept = *entry;
    kept->path_at = trm_survey_keep(found, "", path);
    kept->embeddings_at = trm_survey_keep(found, "", embeddings);
    kept->labels_at = labels[0] == '\0' ? -1 : trm_survey_keep(found, "", labels);
    kept->ids_at = ids[0] == '\0' ? -1 : trm_survey_keep(found, "", ids);
    kept->ids_reason_at = ids_reason[0] == '\0' ? -1 : trm_survey_keep(found, "", ids_reason);
    if (kept->path_at < 0 || kept->embeddings_at < 0 || (labels[0] != '\0' && kept->labels_at < 0) ||
        (ids[0] != '\0' && kept->ids_at < 0) || (ids_reason[0] != '\0' && kept->ids_reason_at < 0))
        return trm_fail_memory(err, "file names", found->size, 1);
    kept->seen.first = found->rows;
    kept->seen.queries = found->files >= found->base_files;
    for (int kind = 0; kind < TRM_SIDES; kind++)
        kept->side[kind] = choice_of(found, (trm_side_kind)kind)->side;
    kept->seen.same_as = kept->seen.rows > 0 ? find_same(found, kept) : -1;
    found->rows += kept->seen.rows;
    found->dim = kept->seen.rows > 0 ? kept->dim : found->dim;
    found->files++;
    return TRM_OK;
}

static void identify(const char *path, trm_store_entry *entry)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return;
    entry->device = (uint64_t)about.st_dev;
    entry->inode = (uint64_t)about.st_ino;
}

/* What is found of one file before it is known to fit the others. */
typedef struct finding {
    trm_store_entry entry;
    hid_t embeddings, labels, ids; /* negative: not open */
    char embeddings_name[TRM_SURVEY_NAME], labels_name[TRM_SURVEY_NAME], ids_name[TRM_SURVEY_NAME];
    char ids_reason[TRM_ERROR_TEXT]; /* why ids are left aside; empty: they are not */
    hsize_t size[3];
    bool no_rows; /* then nothing else of the file matters */
} finding;

/* A part of a store that got no rows: whatever its type and its other dimensions. */
static bool has_no_rows(hid_t dataset)
{
    hsize_t size[H5S_MAX_RANK] = {1};
    hid_t space = H5Dget_space(dataset);
    const int rank = H5Sget_simple_extent_dims(space, size, NULL);
    trm_h5_close(space);
    return rank > 0 && size[0] == 0;
}

static trm_status inspect_embeddings(const role *r, finding *f, trm_error *err)
{
    const char *name = NULL;
    trm_status status = find_dataset(r, false, &name, &f->embeddings, err);
    if (status != TRM_OK)
        return status;
    shown(name, f->embeddings_name);
    f->no_rows = has_no_rows(f->embeddings);
    if (f->no_rows)
        return TRM_OK;
    return trm_inspect_dataset(r->about, f->embeddings, f->embeddings_name, 2, TRM_WANT_FLOATS,
                               &f->entry.embeddings, f->entry.seen.embeddings_type, f->size, err);
}

/* A matrix that was written column by column has a row for each dimension. */
static trm_status check_transposed(const trm_named_file *about, const finding *f, hsize_t labels,
                                   trm_error *err)
{
    if (labels != f->size[1] || labels == f->size[0])
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': dataset '%s' is %" PRIu64 " x %" PRIu64 ", '%s' has %" PRIu64
                    " rows: it looks transposed; write it as %" PRIu64 " x %" PRIu64 " (its .T)",
                    about->kind, about->path, f->embeddings_name, (uint64_t)f->size[0], (uint64_t)f->size[1],
                    f->labels_name, (uint64_t)labels, (uint64_t)f->size[1], (uint64_t)f->size[0]);
}

static trm_status inspect_labels(const role *r, finding *f, hsize_t length[3], trm_error *err)
{
    const char *name = NULL;
    trm_status status = find_dataset(r, false, &name, &f->labels, err);
    if (status != TRM_OK)
        return status;
    shown(name, f->labels_name);
    if (f->no_rows && has_no_rows(f->labels))
        return TRM_OK;
    status = trm_inspect_dataset(r->about, f->labels, f->labels_name, 1, TRM_WANT_LABELS, &f->entry.labels,
                                 f->entry.seen.labels_type, length, err);
    return status == TRM_OK ? check_transposed(r->about, f, length[0], err) : status;
}

/* No file's labels are looked at. */
static void forget_labels(trm_survey *found)
{
    found->lacks_labels = true;
    for (int i = 0; i < found->files; i++) {
        trm_store_entry *entry = &found->entry[i];
        entry->labels_at = -1;
        entry->seen.labels_type[0] = '\0';
        memset(&entry->labels, 0, sizeof entry->labels);
    }
}

/* None under a usual name, and none asked for? */
static bool lacks_labels(const role *r)
{
    const char *name = NULL;
    hid_t labels = -1;
    trm_error unheard = TRM_ERROR_INIT;
    const bool lacks =
        r->option == NULL && find_dataset(r, true, &name, &labels, &unheard) == TRM_OK && labels < 0;
    trm_h5_close(labels);
    return lacks;
}

static trm_status check_size(const trm_named_file *about, finding *f, const trm_survey *found, trm_error *err)
{
    char array[ARRAY_TEXT];
    const hsize_t *size = f->size;
    if (f->no_rows)
        return TRM_OK;
    if (size[0] < 1 || size[1] < 1 || size[1] > TRM_MAX_DIM)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': %s is %" PRIu64 " x %" PRIu64
                        ", needs at least one row and 1 to %d columns",
                        about->kind, about->path, array_text(f->embeddings_name, array), (uint64_t)size[0],
                        (uint64_t)size[1], TRM_MAX_DIM);
    if (size[0] > (hsize_t)(most_rows - found->rows))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': %s has %" PRIu64 " rows; a store has at most %" PRId64,
                        about->kind, about->path, array_text(f->embeddings_name, array), (uint64_t)size[0],
                        most_rows);
    f->entry.seen.rows = (int64_t)size[0];
    f->entry.dim = (int64_t)size[1];
    return TRM_OK;
}

/* Ids are only looked at, so whatever is wrong with them is a reason to leave them aside; but for a path that
 * the user gave and that is not there. */
static trm_status inspect_ids(const role *r, finding *f, trm_error *err)
{
    const char *name = NULL;
    trm_error why = TRM_ERROR_INIT;
    hsize_t length[3] = {0, 0, 0};
    trm_status status = find_dataset(r, true, &name, &f->ids, &why);
    if (status != TRM_OK && r->option != NULL) {
        *err = why;
        return status;
    }
    if (status == TRM_OK && f->ids < 0)
        return TRM_OK;
    shown(name != NULL ? name : trm_usual_ids[0], f->ids_name);
    if (status == TRM_OK)
        status = trm_inspect_dataset(r->about, f->ids, f->ids_name, 1, TRM_WANT_IDS, &f->entry.ids,
                                     f->entry.seen.ids_type, length, &why);
    if (status == TRM_OK)
        status = check_length(r->about, f->ids_name, length[0], f->embeddings_name, f->entry.seen.rows, &why);
    const char *reason = strstr(why.text, "': "); /* behind "store 'PATH" or "queries 'PATH" */
    if (status != TRM_OK)
        snprintf(f->ids_reason, sizeof f->ids_reason, "%s", reason != NULL ? reason + 3 : why.text);
    return TRM_OK;
}

/* What would do in place of labels; NULL: nothing. */
static const char *other_than_labels(const trm_store_options *options)
{
    return options->queries > 0 && !options->without_pairs ? ", or --pairs, which alone needs none" : NULL;
}

static trm_status inspect_datasets(hid_t file, const trm_named_file *about, const trm_store_options *options,
                                   trm_survey *found, trm_error *err)
{
    const char *path = about->path;
    const trm_choice *labels = choice_of(found, TRM_SIDE_LABELS), *ids = choice_of(found, TRM_SIDE_IDS);
    const role roles[] = {
        {about, &found->sources, file, "embeddings", "embeddings", options->embeddings, trm_usual_embeddings,
         NULL},
        {about, &found->sources, file, "labels", option_of(found, TRM_SIDE_LABELS), labels->option,
         trm_usual_labels, other_than_labels(options)},
        {about, &found->sources, file, "ids", option_of(found, TRM_SIDE_IDS), ids->option, trm_usual_ids,
         NULL},
    };
    finding f;
    hsize_t length[3] = {0, 0, 0};
    const bool elsewhere = labels->side >= 0;
    memset(&f, 0, sizeof f); /* entries travel as bytes */
    f.entry.lacks_labels = options->labels_may_lack && !elsewhere && lacks_labels(&roles[1]);
    if (f.entry.lacks_labels)
        forget_labels(found);
    const bool labelled = !options->unlabelled && !found->lacks_labels && !elsewhere;
    f.embeddings = f.labels = f.ids = -1;
    identify(path, &f.entry);
    trm_status status = inspect_embeddings(&roles[0], &f, err);
    if (status == TRM_OK && labelled)
        status = inspect_labels(&roles[1], &f, length, err);
    if (status == TRM_OK)
        status = check_size(about, &f, found, err);
    if (status == TRM_OK && labelled)
        status = check_length(about, f.labels_name, length[0], f.embeddings_name, f.entry.seen.rows, err);
    if (status == TRM_OK && !f.no_rows && ids->side < 0)
        status = inspect_ids(&roles[2], &f, err);
    if (status == TRM_OK && !f.no_rows)
        status = check_against_first(found, &f.entry, about, f.embeddings_name, f.labels_name, err);
    if (status == TRM_OK)
        status =
            add_entry(found, &f.entry, path, f.embeddings_name, f.labels_name, f.ids_name, f.ids_reason, err);
    trm_h5_close(f.ids);
    trm_h5_close(f.labels);
    trm_h5_close(f.embeddings);
    return status;
}

/* A row is what the array has for an index of its first dimension. */
static trm_status check_matrix(const trm_named_file *about, const trm_matrix *matrix, trm_error *err)
{
    return matrix->dimensions > 1
               ? TRM_OK
               : trm_fail(err, TRM_ERR_DATA,
                          "%s '%s': the array has %" PRId64
                          " values in one dimension, needs rows x columns: are these labels?",
                          about->kind, about->path, matrix->rows);
}

static trm_status refuse_dataset(const trm_named_file *about, const trm_matrix *matrix, const char *option,
                                 const char *given, trm_error *err)
{
    struct stat there;
    if (stat(given, &there) == 0) /* no file, or it would have been taken */
        return trm_fail(err, TRM_ERR_NO_INPUT, "--%s '%s': is a folder, needs a file", option, given);
    return trm_fail(err, TRM_ERR_NO_INPUT, "--%s '%s': No such file, and %s '%s' (%s) has no datasets",
                    option, given, about->kind, about->path, matrix->name);
}

static trm_status refuse_unlabelled(const trm_named_file *about, const trm_matrix *matrix, const char *option,
                                    const char *given, const char *other, trm_error *err)
{
    if (given != NULL)
        return refuse_dataset(about, matrix, option, given, err);
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': has no labels, as it is no HDF5 file but %s: give --%s FILE (.npy, .txt, "
                    ".csv:COLUMN or .jsonl:FIELD)%s",
                    about->kind, about->path, matrix->name, option, other);
}

/* A file that has rows and nothing else. */
static trm_status inspect_matrix(const trm_named_file *about, const trm_matrix *matrix,
                                 const trm_store_options *options, trm_survey *found, trm_error *err)
{
    finding f;
    const char *other = other_than_labels(options);
    const int set = set_at_hand(found);
    const trm_choice *labels = choice_of(found, TRM_SIDE_LABELS), *ids = choice_of(found, TRM_SIDE_IDS);
    const char *given =
        labels->of_store ? NULL : labels->option; /* which is no file, where labels are not elsewhere */
    const bool elsewhere = labels->side >= 0;
    if (options->embeddings != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "%s '%s': is no HDF5 file but %s, which has no datasets: leave out --embeddings",
                        about->kind, about->path, matrix->name);
    if (ids->option != NULL && ids->side < 0 && !ids->of_store)
        return refuse_dataset(about, matrix, option_of(found, TRM_SIDE_IDS), ids->option, err);
    const bool lacks = options->labels_may_lack && !elsewhere && given == NULL;
    if (lacks)
        forget_labels(found);
    if (!options->unlabelled && !found->lacks_labels && !elsewhere)
        return refuse_unlabelled(about, matrix, set == 0 ? "labels" : "query-labels", given,
                                 other != NULL ? other : "", err);
    memset(&f, 0, sizeof f); /* entries travel as bytes */
    identify(about->path, &f.entry);
    f.entry.lacks_labels = lacks;
    f.entry.matrix = *matrix;
    f.entry.embeddings = matrix->element;
    memcpy(f.entry.seen.embeddings_type, matrix->type, sizeof f.entry.seen.embeddings_type);
    snprintf(f.embeddings_name, sizeof f.embeddings_name, "%s", matrix->name);
    f.size[0] = (hsize_t)matrix->rows;
    f.size[1] = (hsize_t)matrix->width;
    f.no_rows = matrix->rows == 0;
    trm_status status = check_matrix(about, matrix, err);
    if (status == TRM_OK)
        status = check_size(about, &f, found, err);
    if (status == TRM_OK && !f.no_rows)
        status = check_against_first(found, &f.entry, about, f.embeddings_name, "", err);
    return status == TRM_OK ? add_entry(found, &f.entry, about->path, f.embeddings_name, "", "", "", err)
                            : status;
}

static trm_status inspect_file(const trm_named_file *about, const trm_store_options *options,
                               trm_survey *found, trm_error *err)
{
    hid_t file = -1;
    trm_matrix matrix;
    trm_status status = trm_sources_add_input(&found->sources, about, err);
    if (status == TRM_OK)
        status = trm_matrix_look(about, &matrix, err);
    if (status == TRM_OK && matrix.name[0] != '\0')
        return inspect_matrix(about, &matrix, options, found, err);
    if (status == TRM_OK)
        status = trm_inspect_open(about, &file, err);
    if (status != TRM_OK)
        return status;
    status = inspect_datasets(file, about, options, found, err);
    H5Fclose(file);
    return status;
}

/* A set, files [begin, end), has rows. Errors: DATA. */
static trm_status check_set(const trm_survey *found, int begin, int end, trm_error *err)
{
    for (int i = begin; i < end; i++)
        if (found->entry[i].seen.rows > 0)
            return TRM_OK;
    char array[ARRAY_TEXT];
    const trm_store_entry *first = &found->entry[begin];
    const char *kind = trm_file_kind(&first->seen), *path = found->names + first->path_at;
    return end - begin == 1
               ? trm_fail(err, TRM_ERR_DATA, "%s '%s': %s has no rows, needs at least one", kind, path,
                          array_text(found->names + first->embeddings_at, array))
               : trm_fail(err, TRM_ERR_DATA, "%s '%s': no rows, nor in any of the other files (%d)", kind,
                          path, end - begin - 1);
}

/* Files without rows are of the others' kind. Errors: DATA where all of a set are such. */
static trm_status settle_files_without_rows(trm_survey *found, trm_error *err)
{
    const trm_store_entry *model = trm_survey_first(found);
    trm_status status = check_set(found, 0, found->base_files, err);
    if (status == TRM_OK && found->base_files < found->files)
        status = check_set(found, found->base_files, found->files, err);
    if (status != TRM_OK)
        return status;
    for (int i = 0; i < found->files; i++) {
        trm_store_entry *entry = &found->entry[i];
        if (entry->seen.rows > 0)
            continue;
        entry->embeddings = model->embeddings;
        entry->labels = model->labels;
        entry->dim = model->dim;
        memcpy(entry->seen.embeddings_type, model->seen.embeddings_type, sizeof entry->seen.embeddings_type);
        memcpy(entry->seen.labels_type, model->seen.labels_type, sizeof entry->seen.labels_type);
    }
    return TRM_OK;
}

static trm_status inspect_all(int count, const char *const *paths, const trm_store_options *options,
                              trm_survey *found, trm_error *err)
{
    path_list list = {.count = 0};
    trm_status status = list_files(&list, count, options->queries, paths, err);
    found->base_files = list.base;
    if (status == TRM_OK)
        status = trm_sides_choose(count, options, found, err);
    for (int i = 0; i < list.count && status == TRM_OK; i++) {
        const trm_named_file about = {kind_of(i >= list.base), list.path[i].name};
        found->path = list.path[i].of;
        status = inspect_file(&about, options, found, err);
        if (i < list.base)
            found->base_rows = found->rows;
    }
    if (status == TRM_OK)
        status = trm_sides_look(found, err);
    if (status == TRM_OK)
        status = settle_files_without_rows(found, err);
    for (int i = 0; i < list.count; i++)
        trm_free(list.path[i].name);
    trm_free(list.path);
    return status;
}

/* Ids of some rows of a set only are of no use, nor are numbers beside names. Where none is of a type
 * with a sign, uint64 holds all. */
static void settle_ids(trm_store *store, int set)
{
    static char others[] = "other files of the store have none that are of use";
    static char sorts[] = "ids are numbers in some files of the store, strings in others";
    bool all = true, kinds[] = {false, false}, is_signed = false, large = false;
    for (int i = 0; i < store->files; i++) {
        const trm_store_file *file = &store->entry[i].seen;
        if (file->rows == 0 || file->queries != (set == 1))
            continue;
        all = all && file->ids != NULL && file->ids_left_aside == NULL;
        const trm_element *ids = &store->entry[i].ids;
        kinds[trm_element_names(ids)] = true;
        is_signed = is_signed || ids->class == TRM_ELEMENT_SIGNED;
        large = large || (ids->class == TRM_ELEMENT_UNSIGNED && ids->size == sizeof(uint64_t));
    }
    const bool mixed = kinds[0] && kinds[1];
    store->ids[set] = !all || mixed         ? TRM_IDS_NONE
                      : kinds[1]            ? TRM_IDS_NAMES
                      : large && !is_signed ? TRM_IDS_UNSIGNED
                                            : TRM_IDS_NUMBERS;
    for (int i = 0; i < store->files && store->ids[set] == TRM_IDS_NONE; i++) {
        trm_store_file *file = &store->entry[i].seen;
        if (file->queries == (set == 1) && file->ids != NULL && file->ids_left_aside == NULL)
            file->ids_left_aside = all ? sorts : others;
    }
}

static void send_items(MPI_Comm comm, void *items, int64_t count, size_t size)
{
    MPI_Datatype type;
    MPI_Type_contiguous((int)size, MPI_BYTE, &type);
    MPI_Type_commit(&type);
    MPI_Bcast(items, (int)count, type, 0, comm);
    MPI_Type_free(&type);
}

/* Gives every rank what rank 0 found, and points the strings into their own memory. */
static trm_status share(trm_store *store, trm_survey *found, trm_error *err)
{
    int rank = 0;
    MPI_Comm_rank(store->comm, &rank);
    int64_t sizes[6] = {found->files, found->used, found->rows, found->dim, found->base_rows, found->sides};
    MPI_Bcast(sizes, 6, MPI_INT64_T, 0, store->comm);
    if (rank != 0) {
        found->entry = trm_alloc(sizes[0], sizeof *found->entry);
        found->names = trm_alloc(sizes[1], 1);
        found->side = sizes[5] > 0 ? trm_alloc(sizes[5], sizeof *found->side) : NULL;
    }
    trm_status status = TRM_OK;
    if (found->entry == NULL || found->names == NULL || (sizes[5] > 0 && found->side == NULL))
        status = trm_fail_memory(err, "the list of files", sizes[0], sizeof *found->entry);
    status = trm_agree(store->comm, status, err);
    if (status != TRM_OK)
        return status;
    send_items(store->comm, found->entry, sizes[0], sizeof *found->entry);
    send_items(store->comm, found->side, sizes[5], sizeof *found->side);
    MPI_Bcast(found->names, (int)sizes[1], MPI_BYTE, 0, store->comm);
    store->files = (int)sizes[0];
    store->rows = sizes[2];
    store->dim = (int)sizes[3];
    store->base_rows = sizes[4];
    store->entry = found->entry;
    store->names = found->names;
    store->side = found->side;
    store->sides = (int)sizes[5];
    found->entry = NULL;
    found->names = NULL;
    found->side = NULL;
    for (int s = 0; s < store->sides; s++)
        store->side[s].path = store->names + store->side[s].path_at;
    for (int i = 0; i < store->files; i++) {
        trm_store_entry *entry = &store->entry[i];
        const int labels = entry->side[TRM_SIDE_LABELS], ids = entry->side[TRM_SIDE_IDS];
        entry->seen.labels_file =
            labels >= 0 && entry->labels_at >= 0 ? store->names + store->side[labels].path_at : NULL;
        entry->seen.ids_file = ids >= 0 ? store->names + store->side[ids].path_at : NULL;
        entry->seen.path = store->names + entry->path_at;
        entry->seen.embeddings = store->names + entry->embeddings_at;
        entry->seen.labels = entry->labels_at < 0 ? NULL : store->names + entry->labels_at;
        entry->seen.ids = entry->ids_at < 0 ? NULL : store->names + entry->ids_at;
        entry->seen.ids_left_aside = entry->ids_reason_at < 0 ? NULL : store->names + entry->ids_reason_at;
    }
    for (int set = 0; set < TRM_SETS; set++)
        settle_ids(store, set);
    return TRM_OK;
}

trm_status trm_store_open(MPI_Comm comm, int count, const char *const *paths,
                          const trm_store_options *options, trm_store **store, trm_error *err)
{
    trm_store_options own_options;
    trm_error own = TRM_ERROR_INIT;
    trm_survey found = {.sources = TRM_SOURCES_INIT};
    int rank = 0;
    err = err == NULL ? &own : err;
    MPI_Comm_rank(comm, &rank);
    *store = trm_alloc_zero(1, sizeof **store);
    trm_status status = trm_store_options_take(&own_options, options, err);
    if (*store == NULL)
        status = trm_fail_memory(err, "a store", 1, sizeof **store);
    if (status == TRM_OK && rank == 0) {
        trm_h5_handler handler = trm_h5_silence();
        status = inspect_all(count, paths, &own_options, &found, err);
        trm_h5_restore(handler);
    }
    status = trm_agree(comm, status, err);
    if (status != TRM_OK) {
        trm_free(*store);
        *store = NULL;
    } else {
        MPI_Comm_dup(comm, &(*store)->comm);
        (*store)->sources = found.sources;
        found.sources = (trm_sources)TRM_SOURCES_INIT;
        status = share(*store, &found, err);
        if (status != TRM_OK)
            trm_store_close(store);
    }
    trm_survey_free(&found);
    return status;
}

int64_t trm_store_rows(const trm_store *store)
{
    return store->rows;
}

int64_t trm_store_base_rows(const trm_store *store)
{
    return store->base_rows;
}

int trm_store_dim(const trm_store *store)
{
    return store->dim;
}

int trm_store_file_count(const trm_store *store)
{
    return store->files;
}

const trm_store_file *trm_store_file_at(const trm_store *store, int index)
{
    return &store->entry[index].seen;
}

void trm_store_close(trm_store **store)
{
    if (store == NULL || *store == NULL)
        return;
    MPI_Comm_free(&(*store)->comm);
    trm_free((*store)->entry);
    trm_free((*store)->names);
    trm_free((*store)->side);
    trm_labels_free(&(*store)->labels);
    trm_sources_free(&(*store)->sources);
    for (size_t i = 0; i < sizeof(*store)->unpacked / sizeof *(*store)->unpacked; i++)
        trm_gzip_end(&(*store)->unpacked[i]);
    trm_free(*store);
    *store = NULL;
}
