package runtime

import (
	"fmt"
	"math"
	"runtime"
	"unsafe"
)

type Handle struct {
	value int32
}

func (h *Handle) Use() int32 {
	if h.value == 0 {
		panic("nil handle")
	}
	return h.value
}

func (h *Handle) Take() int32 {
	if h.value == 0 {
		panic("nil handle")
	}
	value := h.value
	h.value = 0
	return value
}

func (h *Handle) Set(value int32) {
	if value == 0 {
		panic("nil handle")
	}
	if h.value != 0 {
		panic("handle already set")
	}
	h.value = value
}

func (h *Handle) TakeOrNil() int32 {
	value := h.value
	h.value = 0
	return value
}

func MakeHandle(value int32) *Handle {
	if value == 0 {
		panic("nil handle")
	}
	return &Handle{value}
}

func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	restock()
	pointer := allocateRaw(size, align)
	pinner.Pin(pointer)
	return pointer
}

func allocateRaw(size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}

	if size%align != 0 {
		panic(fmt.Sprintf("size %v is not compatible with alignment %v", size, align))
	}

	switch align {
	case 1:
		return unsafe.Pointer(unsafe.SliceData(make([]uint8, size)))
	case 2:
		return unsafe.Pointer(unsafe.SliceData(make([]uint16, size/align)))
	case 4:
		return unsafe.Pointer(unsafe.SliceData(make([]uint32, size/align)))
	case 8:
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, size/align)))
	default:
		panic(fmt.Sprintf("unsupported alignment: %v", align))
	}
}

// NB: `cabi_realloc` may be called before the Go runtime has been initialized,
// in which case we need to use `runtime.sbrk` to do allocations.  The following
// is an abbreviation of [Till's
// efforts](https://github.com/bytecodealliance/go-modules/pull/367).

//go:linkname sbrk runtime.sbrk
func sbrk(n uintptr) unsafe.Pointer

//nolint:unused
var useGCAllocations = false

func init() {
	useGCAllocations = true
}

//nolint:unused
func offset(ptr, align uintptr) uintptr {
	newptr := (ptr + align - 1) &^ (align - 1)
	return newptr - ptr
}

// While the host hands something over it calls `cabi_realloc`, and until it has
// its answer nothing may call the host: not even the garbage collector, which
// asks for the time. So what is handed out there is set aside before, by
// `Allocate`, which goes before every call of the host that returns something; and
// what is larger is allocated with all of that switched off.
// (This differs from wit-bindgen's own, which lets the collector run there.)
type shelf struct {
	// What did not fit. It is read by way of numbers, which the collector does
	// not see; so it lives as long as the shelf does.
	large []unsafe.Pointer
	data  [shelfSize / 8]uint64
}

const (
	shelfSize = 64 << 10
	// What is there, at least, when a call begins.
	shelfMin = 32 << 10
)

var (
	current = new(shelf)
	used    uintptr
)

func restock() {
	if shelfSize-used < shelfMin || len(current.large) > 0 {
		current, used = new(shelf), 0
	}
}

// Unpin has nothing to do: what was handed over lives as long as it is used.
func Unpin() {}

// Between these two the garbage collector does not begin.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

// A heap without a goal gives no memory back as it grows, for which it would ask
// for the time.
//
//go:linkname gcPaceScavenger runtime.gcPaceScavenger
func gcPaceScavenger(memoryLimit int64, heapGoal, lastHeapGoal uint64)

// It says for which interfaces of soloist the bindings were made: Go's linker writes
// no types, by which a host could tell.
//
//nolint:unused
//go:wasmexport soloist_interfaces_1
func soloistInterfaces() {}

//nolint:unused
//go:wasmexport cabi_realloc
func cabiRealloc(oldPointer unsafe.Pointer, oldSize, align, newSize uintptr) unsafe.Pointer {
	if oldPointer != nil || oldSize != 0 {
		panic("todo")
	}
	if !useGCAllocations {
		alignedSize := newSize + offset(newSize, align)
		unaligned := sbrk(alignedSize)
		off := offset(uintptr(unaligned), align)
		return unsafe.Add(unaligned, off)
	}
	if newSize == 0 {
		return nil
	}
	start := used + offset(used, align)
	if start+newSize <= shelfSize {
		used = start + newSize
		return unsafe.Add(unsafe.Pointer(&current.data), start)
	}
	procPin()
	defer procUnpin()
	gcPaceScavenger(math.MaxInt64, 0, 0)
	pointer := allocateRaw(newSize, align)
	current.large = append(current.large, pointer)
	return pointer
}
