"""Models as folders that a runtime of ONNX answers from, without handful and without torch; needs handful[onnx]."""
