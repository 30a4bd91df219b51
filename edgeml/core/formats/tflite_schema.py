"""The tables of TFLite files as LiteRT 2.3 lays them out: the kind of each field, in the order of the slots.

A number is a scalar of that many bytes, ``s`` a string, ``[4]`` a vector of scalars, ``[Tensor]`` a vector of tables,
``Tensor`` a table, ``<BuiltinOptions>`` a table of a union, whose number the slot before holds, and ``-`` a slot that
is no longer in use.

Source: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

__all__ = ["TABLES", "UNIONS"]

_TABLES = """
Model: 4 [OperatorCode] [SubGraph] s [Buffer] [4] [Metadata] [SignatureDef] [ExternalBufferGroup] [ExternalBuffer]
OperatorCode: 1 s 4 4
SubGraph: [Tensor] [4] [4] [Operator] s 4
Tensor: [4] 1 4 s QuantizationParameters 1 SparsityParameters [4] 1 [VariantSubType] 4
Operator: 4 [4] [4] 1 <BuiltinOptions> [1] 1 [1] [4] 8 8 1 <BuiltinOptions2> 4
Buffer: [1] 8 8
Metadata: s 4
SignatureDef: [TensorMap] [TensorMap] s - 4
TensorMap: s 4
QuantizationParameters: [4] [4] [4] [8] 1 <QuantizationDetails> 4
SparsityParameters: [4] [4] [DimensionMetadata]
DimensionMetadata: 1 4 1 <SparseIndexVector> 1 <SparseIndexVector>
VariantSubType: [4] 1 1
ExternalBufferGroup: s
ExternalBuffer: 4 4 8 8 s
"""

_OPTIONS = """
PadOptions PadV2Options SpaceToBatchNDOptions BatchToSpaceNDOptions TopKV2Options TransposeOptions ExpOptions:
CosOptions LogSoftmaxOptions DequantizeOptions MaximumMinimumOptions TileOptions GreaterOptions GreaterEqualOptions:
LessOptions LessEqualOptions NegOptions SelectOptions SliceOptions ExpandDimsOptions EqualOptions NotEqualOptions:
RankOptions PowOptions LogicalOrOptions AbsOptions HardSwishOptions LogicalAndOptions LogicalNotOptions:
FloorDivOptions SquareOptions ZerosLikeOptions FillOptions FloorModOptions RangeOptions SquaredDifferenceOptions:
ReverseV2Options AddNOptions GatherNdOptions WhereOptions MatrixDiagOptions QuantizeOptions MatrixSetDiagOptions:
NonMaxSuppressionV4Options NonMaxSuppressionV5Options ScatterNdOptions SelectV2Options DensifyOptions:
SegmentSumOptions BroadcastToOptions Rfft2dOptions HashtableFindOptions HashtableImportOptions HashtableSizeOptions:
ReadVariableOptions AssignVariableOptions DynamicUpdateSliceOptions UnsortedSegmentProdOptions:
UnsortedSegmentMaxOptions UnsortedSegmentSumOptions ATan2Options UnsortedSegmentMinOptions SignOptions:
BitcastOptions BitwiseXorOptions RightShiftOptions DilateOptions StablehloShiftLeftOptions:
ResizeBilinearOptions: - - 1 1
StablehloRngBitGeneratorOptions LSHProjectionOptions MulOptions L2NormOptions DivOptions: 1
EmbeddingLookupSparseOptions ReducerOptions ArgMaxOptions ArgMinOptions SparseToDenseOptions ShapeOptions: 1
MirrorPadOptions UniqueOptions GeluOptions: 1
RNNOptions AddOptions ResizeNearestNeighborOptions SubOptions CastOptions CumsumOptions: 1 1
SequenceRNNOptions BatchMatMulOptions: 1 1 1
BidirectionalSequenceRNNOptions: 1 1 1 1
FullyConnectedOptions: 1 1 1 1 1 [1]
LSTMOptions TransposeConvOptions: 1 4 4 1 1
UnidirectionalSequenceLSTMOptions BidirectionalSequenceLSTMOptions: 1 4 4 1 1 1
Conv2DOptions: 1 4 4 1 4 4 1
DepthwiseConv2DOptions: 1 4 4 4 1 4 4
Conv3DOptions: 1 4 4 4 1 4 4 4
Pool2DOptions: 1 4 4 4 4 1
StablehloScatterOptions: 1 [8] [8] [8] 8 1 4
SoftmaxOptions CallOptions SpaceToDepthOptions DepthToSpaceOptions SplitOptions SplitVOptions OneHotOptions: 4
LeakyReluOptions CallOnceOptions ReduceWindowOptions: 4
ConcatenationOptions: 4 1
SVDFOptions HashtableOptions: 4 1 1
StablehloWhileOptions StablehloCompareOptions GatherOptions PackOptions UnpackOptions ReverseSequenceOptions: 4 4
IfOptions WhileOptions: 4 4
SkipGramOptions: 4 4 1
FakeQuantOptions: 4 4 4 1
LocalResponseNormalizationOptions: 4 4 4 4
StridedSliceOptions: 4 4 4 4 4 1
BlockwiseQuantization MultiAxisQuantization: 4 4 4 [4]
ConcatEmbeddingsOptions: 4 [4] [4]
StablehloConcatenateOptions StablehloIotaOptions: 8
StablehloSortOptions: 8 1 4
RandomOptions: 8 8
CustomQuantization Uint8Vector: [1]
Uint16Vector: [2]
Int32Vector StablehloCaseOptions ReshapeOptions SqueezeOptions BucketizeOptions: [4]
StablehloTransposeOptions StablehloBroadcastInDimOptions StablehloDynamicSliceOptions: [8]
StablehloReduceOptions: [8] 4
StablehloPadOptions StablehloSliceOptions: [8] [8] [8]
StablehloGatherOptions: [8] [8] [8] 8 [8] 1
StablehloConvolutionOptions: [8] [8] [8] [8] [1] 8 8 [8] 8 8 [8] 8 8 [8] 8 8 [4]
StablehloDotGeneralOptions: [8] [8] [8] [8] [4]
StablehloReduceWindowOptions: [8] [8] [8] [8] [8] 4
StablehloCustomCallOptions: s 1 s 4 [4] [1]
StableHLOCompositeOptions: s 4 [1] 1 4
VarHandleOptions: s s
"""

_UNIONS = """
QuantizationDetails: NONE CustomQuantization BlockwiseQuantization MultiAxisQuantization
SparseIndexVector: NONE Int32Vector Uint16Vector Uint8Vector
BuiltinOptions: NONE Conv2DOptions DepthwiseConv2DOptions ConcatEmbeddingsOptions LSHProjectionOptions Pool2DOptions
BuiltinOptions: SVDFOptions RNNOptions FullyConnectedOptions SoftmaxOptions ConcatenationOptions AddOptions
BuiltinOptions: L2NormOptions LocalResponseNormalizationOptions LSTMOptions ResizeBilinearOptions CallOptions
BuiltinOptions: ReshapeOptions SkipGramOptions SpaceToDepthOptions EmbeddingLookupSparseOptions MulOptions PadOptions
BuiltinOptions: GatherOptions BatchToSpaceNDOptions SpaceToBatchNDOptions TransposeOptions ReducerOptions SubOptions
BuiltinOptions: DivOptions SqueezeOptions SequenceRNNOptions StridedSliceOptions ExpOptions TopKV2Options SplitOptions
BuiltinOptions: LogSoftmaxOptions CastOptions DequantizeOptions MaximumMinimumOptions ArgMaxOptions LessOptions
BuiltinOptions: NegOptions PadV2Options GreaterOptions GreaterEqualOptions LessEqualOptions SelectOptions SliceOptions
BuiltinOptions: TransposeConvOptions SparseToDenseOptions TileOptions ExpandDimsOptions EqualOptions NotEqualOptions
BuiltinOptions: ShapeOptions PowOptions ArgMinOptions FakeQuantOptions PackOptions LogicalOrOptions OneHotOptions
BuiltinOptions: LogicalAndOptions LogicalNotOptions UnpackOptions FloorDivOptions SquareOptions ZerosLikeOptions
BuiltinOptions: FillOptions BidirectionalSequenceLSTMOptions BidirectionalSequenceRNNOptions
BuiltinOptions: UnidirectionalSequenceLSTMOptions FloorModOptions RangeOptions ResizeNearestNeighborOptions
BuiltinOptions: LeakyReluOptions SquaredDifferenceOptions MirrorPadOptions AbsOptions SplitVOptions UniqueOptions
BuiltinOptions: ReverseV2Options AddNOptions GatherNdOptions CosOptions WhereOptions RankOptions
BuiltinOptions: ReverseSequenceOptions MatrixDiagOptions QuantizeOptions MatrixSetDiagOptions HardSwishOptions
BuiltinOptions: IfOptions WhileOptions DepthToSpaceOptions NonMaxSuppressionV4Options NonMaxSuppressionV5Options
BuiltinOptions: ScatterNdOptions SelectV2Options DensifyOptions SegmentSumOptions BatchMatMulOptions CumsumOptions
BuiltinOptions: CallOnceOptions BroadcastToOptions Rfft2dOptions Conv3DOptions HashtableOptions HashtableFindOptions
BuiltinOptions: HashtableImportOptions HashtableSizeOptions VarHandleOptions ReadVariableOptions AssignVariableOptions
BuiltinOptions: RandomOptions BucketizeOptions GeluOptions DynamicUpdateSliceOptions UnsortedSegmentProdOptions
BuiltinOptions: UnsortedSegmentMaxOptions UnsortedSegmentMinOptions UnsortedSegmentSumOptions ATan2Options SignOptions
BuiltinOptions: BitcastOptions BitwiseXorOptions RightShiftOptions
BuiltinOptions2: NONE StablehloConcatenateOptions StablehloBroadcastInDimOptions StablehloSliceOptions
BuiltinOptions2: StablehloConvolutionOptions StablehloCustomCallOptions StablehloReduceOptions StablehloScatterOptions
BuiltinOptions2: StablehloCompareOptions StablehloDynamicSliceOptions StablehloPadOptions StablehloIotaOptions
BuiltinOptions2: StablehloDotGeneralOptions StablehloReduceWindowOptions StablehloSortOptions StablehloWhileOptions
BuiltinOptions2: StablehloGatherOptions StablehloTransposeOptions DilateOptions StablehloRngBitGeneratorOptions
BuiltinOptions2: ReduceWindowOptions StableHLOCompositeOptions StablehloShiftLeftOptions StablehloCaseOptions
"""


def _tables() -> dict[str, tuple[str, ...]]:
    lines = (line.split(":") for line in (_TABLES + _OPTIONS).split("\n") if line)
    return {name: tuple(kinds.split()) for names, kinds in lines for name in names.split()}


def _unions() -> dict[str, tuple[str, ...]]:
    unions: dict[str, tuple[str, ...]] = {}
    for line in _UNIONS.strip().split("\n"):
        name, members = line.split(":")
        unions[name] = unions.get(name, ()) + tuple(members.split())
    return unions


TABLES = _tables()
"""Kinds of a table's fields, by its name."""

UNIONS = _unions()
"""Names of a union's tables; the first is none."""
